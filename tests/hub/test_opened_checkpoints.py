"""Opened checkpoints compute what their own libraries compute."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import timm
import timm.data
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from frontrunner import errors
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from tests.conftest import write_timm_checkpoint


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_features_are_those_of_timms_own_pipeline(hub, image, name):
    opened = open_checkpoint(describe_directory(hub / name))
    module = timm.create_model(f"local-dir:{hub / name}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    pixels = transform(image)[None]
    with torch.inference_mode():
        expected = module.forward_head(module.forward_features(pixels), pre_logits=True)
    assert torch.equal(opened.preparation.prepare(image)[None], pixels)
    torch.testing.assert_close(opened.read(pixels).features, expected, rtol=1e-5, atol=1e-5)
    assert opened.feature_dimension == expected.shape[1]


def test_features_are_what_transformers_own_classifier_sees(hub, image):
    folder = hub / "mobilenet"
    opened = open_checkpoint(describe_directory(folder))
    module = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        logits = module(pixels).logits
    assert torch.equal(opened.preparation.prepare(image)[None], pixels)
    features, given = opened.read(pixels)
    torch.testing.assert_close(given, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(module.classifier(features.clone()), logits, rtol=1e-5, atol=1e-5)
    assert opened.feature_dimension == features.shape[1]


ARCHITECTURES = ("test_resnet", "test_vit", "test_mambaout", "test_byobnet", "test_convnext", "mobilenetv3_small_050")


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "deit_tiny_distilled_patch16_224", "levit_128s"])
def test_one_reading_gives_the_features_and_the_answer_of_timms_own_head(tmp_path, architecture):
    """Among them heads that convolve before they classify, and distilled ones that average two classifiers."""
    side = timm.get_pretrained_cfg(architecture).input_size[-1]
    opened = open_checkpoint(describe_directory(write_timm_checkpoint(tmp_path / "it", architecture, 1, side)))
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = opened.module(pixels)
        features = opened.module.forward_head(opened.module.forward_features(pixels), pre_logits=True)
    reading = opened.read(pixels)
    torch.testing.assert_close(reading.source_logits, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reading.features, features, rtol=1e-5, atol=1e-5)


def test_heads_that_tell_no_classes_apart_give_no_logits(hub, tmp_path):
    """A projection into the space of another encoder, labels that exclude each other not, one output, none."""
    pixels = torch.zeros(1, 3, 160, 160)

    def logits_of(folder):
        return open_checkpoint(describe_directory(folder)).read(pixels).source_logits

    stored = json.loads((hub / "vit" / "config.json").read_text())
    for name, change in {
        "projection": {"pretrained_cfg": stored["pretrained_cfg"] | {"tag": "clip_laion2b"}},
        "labels": {"problem_type": "multi_label_classification"},
    }.items():
        shutil.copytree(hub / "vit", tmp_path / name)
        (tmp_path / name / "config.json").write_text(json.dumps(stored | change))
        assert logits_of(tmp_path / name) is None
    for classes in (0, 1):
        assert logits_of(write_timm_checkpoint(tmp_path / f"{classes}", "test_vit", 1, 160, classes)) is None
    shutil.copytree(hub / "vit", tmp_path / "tuned")
    tuned = stored["pretrained_cfg"] | {"tag": "clip_laion2b_ft_in1k"}
    (tmp_path / "tuned" / "config.json").write_text(json.dumps(stored | {"pretrained_cfg": tuned}))
    assert logits_of(tmp_path / "tuned").shape == (1, 10)


def test_a_transformers_head_of_several_labels_gives_no_logits(hub, tmp_path):
    folder = tmp_path / "labels"
    shutil.copytree(hub / "mobilenet", folder)
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stored | {"problem_type": "multi_label_classification"}))
    assert open_checkpoint(describe_directory(folder)).read(torch.zeros(1, 3, 32, 32)).source_logits is None


def changed(hub, tmp_path, **config):
    folder = tmp_path / "changed"
    shutil.copytree(hub / "resnet", folder)
    stored = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(stored))
    return folder


def test_model_args_are_honoured(hub, tmp_path):
    folder = changed(hub, tmp_path, model_args={"act_layer": "gelu"})
    opened = open_checkpoint(describe_directory(folder))
    assert any(isinstance(part, timm.layers.GELU | torch.nn.GELU) for part in opened.module.modules())


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, errors.UnsafeCheckpoint),
        ({"model_args": {"pretrained": True}}, errors.UnsafeCheckpoint),
        ({"model_args": {"no_such_argument": 1}}, errors.CheckpointUnreadable),
        ({"architecture": "no_such_architecture"}, errors.CheckpointUnreadable),
        ({"architecture": "test_vit"}, errors.CheckpointUnreadable),
    ],
)
def test_configurations_that_load_something_else_or_fit_nothing_are_refused(hub, tmp_path, config, kind):
    with pytest.raises(kind):
        open_checkpoint(describe_directory(changed(hub, tmp_path, **config)))


def test_missing_weights_are_refused(hub, tmp_path):
    folder = changed(hub, tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights.pop("layer1.0.conv1.weight")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(errors.CheckpointUnreadable, match=r"layer1\.0\.conv1"):
        open_checkpoint(describe_directory(folder))


def test_a_transformers_folder_without_preprocessing_is_refused(hub, tmp_path):
    folder = tmp_path / "bare"
    shutil.copytree(hub / "mobilenet", folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(errors.CheckpointUnreadable, match="preprocessing"):
        open_checkpoint(describe_directory(folder))
