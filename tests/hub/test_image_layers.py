"""Layers of image encoders, and how their positions are pooled."""

from __future__ import annotations

import pytest
import timm
import timm.data
import torch
import transformers
from timm.models import save_for_hf

from frontrunner import errors
from frontrunner.hub import describe_directory
from frontrunner.hub.describing.variants import variants
from frontrunner.hub.opening.open import open_checkpoint
from tests.hub.vision_models import each, pixels_of, same, vit


def variant(folder, choice):
    (found,) = variants(describe_directory(folder), choice)
    return found


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_layer_of_a_vision_transformer_is_its_first_layers_and_the_closing_normalisation(saved, images, layer):
    module = vit()
    folder = saved(module)
    with torch.no_grad():
        hidden = torch.cat(
            [
                module.layernorm(module(pixel_values=image, output_hidden_states=True).hidden_states[layer])
                for image in pixels_of(folder, images)
            ]
        ).numpy()
    if layer == 3:
        last = each(module, pixels_of(folder, images), lambda output: output.last_hidden_state)
        same(open_checkpoint(variant(folder, "layer=3")).features(images), last[:, 0])
        return
    same(open_checkpoint(variant(folder, f"layer={layer}")).features(images), hidden[:, 0])
    same(open_checkpoint(variant(folder, f"layer={layer},pooling=mean")).features(images), hidden.mean(1))


def test_stages_of_a_convolutional_network_are_its_layers(saved, images):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1])
    module = transformers.ResNetForImageClassification(config)
    folder = saved(module)
    with torch.no_grad():
        outputs = [
            module.resnet(pixel_values=image, output_hidden_states=True).hidden_states
            for image in pixels_of(folder, images)
        ]
    for stage in (1, 3):
        expected = torch.cat([hidden[stage].mean((2, 3)) for hidden in outputs]).numpy()
        same(open_checkpoint(variant(folder, f"layer={stage}")).features(images), expected)
    assert len(variants(describe_directory(folder), "layer=each")) == 4
    with pytest.raises(errors.CheckpointUnreadable, match="different widths"):
        open_checkpoint(variant(folder, "layer=mean"))
    with pytest.raises(errors.UnknownVariant, match="1 to 4"):
        variant(folder, "layer=5")


@pytest.mark.parametrize(("architecture", "layers"), [("test_vit", 6), ("test_resnet", 4), ("test_efficientnet", 5)])
def test_layers_of_timms_models_are_counted_and_read(tmp_path, images, architecture, layers):
    module = timm.create_model(architecture).eval()
    save_for_hf(module, tmp_path / "it", safe_serialization=True)
    described = describe_directory(tmp_path / "it")
    assert described.layers == layers
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    pixels = torch.stack([transform(image) for image in images])
    seen = {}
    second = {"test_vit": "blocks.1", "test_resnet": "layer2", "test_efficientnet": "blocks.1"}[architecture]
    part = module.get_submodule(second)
    part.register_forward_hook(lambda _module, _arguments, output: seen.update(it=output))
    with torch.no_grad():
        module(pixels)
        hidden = module.norm(seen["it"])[:, 1:].mean(1) if architecture == "test_vit" else seen["it"].mean((2, 3))
    found = variant(tmp_path / "it", "layer=2,pooling=mean")
    same(open_checkpoint(found).features(images), hidden.numpy())
    assert found.parameters < described.parameters
    assert found.digest != described.digest


def test_a_class_token_that_is_not_there_is_not_read(tmp_path):
    save_for_hf(timm.create_model("test_resnet"), tmp_path / "it", safe_serialization=True)
    with pytest.raises(errors.CheckpointUnreadable, match="no class token"):
        open_checkpoint(variant(tmp_path / "it", "pooling=cls"))
    with pytest.raises(errors.UnknownVariant, match="pooling=mean or cls"):
        variant(tmp_path / "it", "pooling=last")
