"""`frontrunner.open_checkpoint`: one call for any id, folder or description; `features` of images and texts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import frontrunner
from frontrunner import errors
from frontrunner.data import TextInputs, open_dataset
from frontrunner.extraction import FeatureShards
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.describing.variants import variants
from frontrunner.hub.finding.folders import Folders
from frontrunner.progress import Silent
from frontrunner.settings import Settings
from frontrunner.store import FolderStore
from tests.conftest import encode, write_text_checkpoint, write_timm_checkpoint
from tests.hub.loopback import Hub, Repository, serving


def weights(checkpoint):
    return checkpoint.module.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("form", ["id", "path", "text", "description"])
def test_a_checkpoint_is_opened_by_id_by_folder_and_by_description(hub, form):
    folder = hub / "resnet"
    given = {"id": "local:resnet", "path": folder, "text": str(folder), "description": describe_directory(folder)}[form]
    opened = frontrunner.open_checkpoint(given, hub=hub if form == "id" else None)
    assert opened.description == describe_directory(folder)
    assert same(weights(opened), weights(frontrunner.open_checkpoint(describe_directory(folder))))


@pytest.mark.parametrize("name", ["resnet", "vit", "mobilenet"])
def test_an_opening_draws_nothing_that_others_draw_by_a_seed(hub, name):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    frontrunner.open_checkpoint(hub / name)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_is_meant_where_no_hub_knows_the_name(hub, monkeypatch):
    monkeypatch.chdir(hub)
    assert frontrunner.open_checkpoint("resnet").description.id == "local:resnet"


def test_a_checkpoint_of_the_hub_is_fetched(hub, tmp_path):
    with serving(Hub({"timm/test_resnet.r160_in1k": Repository.of(hub / "resnet")})) as server:
        access = HubAccess.of(Settings(home=tmp_path, hub_endpoint=server.address))
        opened = frontrunner.open_checkpoint("timm:test_resnet.r160_in1k", access)
    assert same(weights(opened), weights(frontrunner.open_checkpoint(hub / "resnet")))


def test_a_variant_is_opened_as_it_is_named(text_hub):
    opened = frontrunner.open_checkpoint("local:encoder#layer=2,pooling=cls", hub=text_hub)
    assert (opened.description.text_pooling.layer, opened.description.text_pooling.pooling) == (2, "cls")
    assert len(opened.module.encoder.layer) == 2


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("local:nothing", errors.CheckpointNotFound, "no hub folder holds 'nothing'"),
        ("local:../secret", errors.CheckpointNotFound, "no hub folder holds"),
        ("package:nothing", errors.CheckpointNotFound, "no installed package"),
        ("resnet18", errors.CheckpointNotFound, "ids begin with local:"),
        ("hf:nothing", errors.CheckpointNotFound, "expected hf:ORG/NAME"),
        ("features:mine", errors.CheckpointNotFound, "no feature set"),
        ("local:encoder#layer=9", errors.UnknownVariant, "its layers are 1 to 3"),
        ("local:encoder#layer=each", errors.UnknownVariant, "stands for 3 checkpoints; name one"),
    ],
)
def test_what_cannot_be_opened_is_named(text_hub, name, error, reason):
    with pytest.raises(error, match=reason):
        frontrunner.open_checkpoint(name, hub=text_hub)


@pytest.mark.parametrize("name", ["resnet", "vit", "mobilenet"])
def test_features_of_images_are_bit_by_bit_those_of_a_ranking_and_leave_the_checkpoint_as_it_was(
    hub, colours, tmp_path, name
):
    dataset = open_dataset(colours)
    keys = dataset.train.keys[::8]
    expected = FeatureReader(frontrunner.open_checkpoint(hub / name), dataset.inputs).read(keys).features
    opened = frontrunner.open_checkpoint(hub / name)
    before = {tensor: value.clone() for tensor, value in weights(opened).items()}
    images = [dataset.inputs.decode(key) for key in keys]
    paths = [tmp_path / f"{place}.png" for place in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(dataset.inputs.read(key))
    arrays = [np.asarray(image) for image in images]
    for given in (images, paths, [str(path) for path in paths], arrays, np.stack(arrays), [images[0], *paths[1:]]):
        features = opened.features(given)
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, expected)
    assert same(weights(opened), before)


def test_other_modes_of_an_image_are_read_in_rgb(hub, tmp_path):
    opened = frontrunner.open_checkpoint(hub / "resnet")
    grey = Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    (tmp_path / "grey.png").write_bytes(encode(np.asarray(grey)))
    expected = opened.features([grey.convert("RGB")])
    np.testing.assert_array_equal(opened.features([grey]), expected)
    np.testing.assert_array_equal(opened.features([tmp_path / "grey.png"]), expected)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_features_of_texts_and_of_pairs_are_bit_by_bit_those_of_a_ranking(text_hub, name):
    opened = frontrunner.open_checkpoint(text_hub / name)
    firsts = ("my card is lost", "please", "the cash machine is not working ?") * 5
    seconds = tuple(reversed(firsts))
    for inputs, given in (
        (TextInputs(firsts), list(firsts)),
        (TextInputs(firsts), firsts),
        (TextInputs(firsts, seconds), list(zip(firsts, seconds, strict=True))),
    ):
        expected = FeatureReader(frontrunner.open_checkpoint(text_hub / name), inputs).read(range(15)).features
        np.testing.assert_array_equal(opened.features(given), expected)


def test_probabilities_are_those_of_the_checkpoints_own_head(tmp_path):
    folder = write_timm_checkpoint(tmp_path / "insects", "test_resnet", seed=5, classes=3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"label_names": ["ant", "bee", "wasp"]}))
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    checkpoint = frontrunner.open_checkpoint(folder)
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        normalised = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1  # mean and deviation of a half
        expected = network(normalised).softmax(dim=1).numpy()
    np.testing.assert_allclose(checkpoint.probabilities(pixels), expected, atol=1e-5)
    assert checkpoint.classes == ("ant", "bee", "wasp")
    assert checkpoint.probabilities([]).shape == (0, 3)


def test_a_checkpoint_without_a_head_has_no_probabilities(text_hub):
    with pytest.raises(errors.NoClassifier, match="local:encoder has no head"):
        frontrunner.open_checkpoint(text_hub / "encoder").probabilities(["my card is lost"])


def test_no_inputs_have_no_features(hub, text_hub):
    for folder in (hub / "resnet", text_hub / "encoder"):
        opened = frontrunner.open_checkpoint(folder)
        assert opened.features([]).shape == (0, opened.feature_dimension)


@pytest.mark.parametrize(
    ("folder", "given", "reason"),
    [
        ("resnet", "one.png", "sequence of images.*given: str"),
        ("resnet", [3], "given: int"),
        ("resnet", [("a", "b")], "given: tuple"),
        ("resnet", np.zeros((2, 3, 32, 32), np.uint8), r"given: an array \(3, 32, 32\) of uint8"),
        ("resnet", [np.zeros((32, 32, 3))], r"given: an array \(32, 32, 3\) of float64"),
        ("resnet", np.zeros((32, 32, 3), np.uint8), r"given: an array \(32, 3\)"),
        ("encoder", "one text", "sequence of texts.*given: str"),
        ("encoder", [Image.new("RGB", (8, 8))], "given: Image"),
        ("encoder", np.zeros((1, 32, 32, 3), np.uint8), "given: an array"),
        ("encoder", ["one", ("a", "pair")], "tuples of 1 and 2 texts"),
        ("encoder", [("three", "texts", "each")], "tuples of 3 texts"),
        ("encoder", [()], "tuples of 0 texts"),
        ("encoder", [("a", 3)], "given: tuple"),
    ],
)
def test_inputs_of_another_kind_are_refused_with_what_is_expected(hub, text_hub, folder, given, reason):
    opened = frontrunner.open_checkpoint((hub if folder == "resnet" else text_hub) / folder)
    with pytest.raises(errors.ModalityMismatch, match=reason):
        opened.features(given)


@pytest.mark.parametrize("name", ["missing.png", "broken.png"])
def test_images_that_cannot_be_read_are_named(hub, tmp_path, name):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(errors.UnreadableDataset, match=name):
        frontrunner.open_checkpoint(hub / "resnet").features([tmp_path / name])


def test_progress_hears_of_every_batch(hub):
    class Heard(Silent):
        said = ()

        def advance(self, stage, done, total, *, of=""):
            self.said = (*self.said, (stage, done, total, of))

    heard = Heard()
    frontrunner.open_checkpoint(hub / "resnet").features(np.zeros((20, 8, 8, 3), np.uint8), progress=heard)
    assert list(heard.said) == sorted(heard.said)
    assert heard.said[-1] == ("read", 20, 20, "local:resnet")


def test_importing_the_library_and_its_hubs_loads_no_torch():
    code = """
import sys
import frontrunner, frontrunner.hub, frontrunner.hub.finding.sync
assert "open_checkpoint" in frontrunner.__all__
assert not {"torch", "timm", "transformers", "huggingface_hub"} & set(sys.modules)
frontrunner.open_checkpoint
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def swapped(folder, other):
    """The weights of another checkpoint in the place of a folder's own, size and time of change as they were."""
    before = (folder / "model.safetensors").stat()
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    os.utime(folder / "model.safetensors", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "model.safetensors").stat().st_size == before.st_size


def test_weights_that_were_swapped_after_they_were_described_are_not_opened(tmp_path):
    one = write_timm_checkpoint(tmp_path / "one", "test_resnet", seed=1)
    two = write_timm_checkpoint(tmp_path / "two", "test_resnet", seed=2)
    described = describe_directory(one)
    frontrunner.open_checkpoint(described)
    swapped(one, two)
    with pytest.raises(errors.CheckpointChanged, match="local:one: its files have changed"):
        frontrunner.open_checkpoint(described)
    assert frontrunner.open_checkpoint(describe_directory(one)).description.digest != described.digest


def test_variants_and_texts_are_compared_with_what_was_described_too(text_hub, tmp_path):
    shutil.copytree(text_hub / "encoder", tmp_path / "encoder")
    access = HubAccess.of(Settings(home=tmp_path))
    base = describe_directory(tmp_path / "encoder")
    (variant,) = variants(base, "layer=1")
    folders = Folders(access)
    assert folders.fetch(base) == folders.fetch(variant) == tmp_path / "encoder"
    swapped(tmp_path / "encoder", write_text_checkpoint(tmp_path / "other", "bert", seed=9))
    for described in (base, variant):
        with pytest.raises(errors.CheckpointChanged):
            folders.fetch(described)


def test_features_of_swapped_weights_are_never_kept_under_the_digest_of_others(tmp_path, colours):
    one = write_timm_checkpoint(tmp_path / "one", "test_resnet", seed=1)
    described = describe_directory(one)
    dataset = open_dataset(colours)
    shards = FeatureShards(described, dataset, np.arange(40), 40, FolderStore(tmp_path / "home"))
    swapped(one, write_timm_checkpoint(tmp_path / "two", "test_resnet", seed=2))
    with pytest.raises(errors.CheckpointChanged):
        list(shards)
    assert list((tmp_path / "home").rglob("*.npy")) == []
