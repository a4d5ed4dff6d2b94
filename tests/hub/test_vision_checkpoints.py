"""Vision checkpoints in the shapes of the world: nothing random is read, and what is missing is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import timm.data
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from frontrunner import errors
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from tests.hub.vision_models import EYES, each, pixels_of, same, vit

WORDS = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 16,
}


def test_a_missing_pooling_layer_is_never_drawn_at_random_and_the_class_token_is_read(saved, images):
    module = vit(add_pooling_layer=False)
    folder = saved(module)
    first, second = open_checkpoint(describe_directory(folder)), open_checkpoint(describe_directory(folder))
    expected = each(module, pixels_of(folder, images), lambda output: output.last_hidden_state[:, 0])
    same(first.features(images), expected)
    np.testing.assert_array_equal(first.features(images), second.features(images))
    assert "the class token is read" in first.provenance.notes[0]


def test_a_pooling_layer_that_is_there_is_read(saved, images):
    module = vit()
    folder = saved(module)
    opened = open_checkpoint(describe_directory(folder))
    same(opened.features(images), each(module, pixels_of(folder, images), lambda output: output.pooler_output))
    assert opened.provenance.notes == ()


def test_missing_weights_of_a_layer_that_is_read_are_named(saved):
    folder = saved(vit())
    stored = load_file(folder / "model.safetensors")
    name = next(name for name in stored if "attention" in name and name.endswith(".weight"))
    del stored[name]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(errors.CheckpointUnreadable, match="weights are missing"):
        open_checkpoint(describe_directory(folder))


def test_a_classifier_without_its_last_layers_weights_gives_features_and_predicts_nothing(saved, images):
    module = transformers.ViTForImageClassification(transformers.ViTConfig(**EYES, num_labels=5))
    folder = saved(module)
    expected = open_checkpoint(describe_directory(folder)).features(images)
    stored = load_file(folder / "model.safetensors")
    del stored["classifier.weight"]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    opened = open_checkpoint(describe_directory(folder))
    assert opened.read(pixels_of(folder, images)[0]).source_logits is None
    assert "predicts nothing" in opened.provenance.notes[0]
    same(opened.features(images), expected)


def test_masked_image_models_read_all_patches(saved, images):
    config = transformers.ViTMAEConfig(
        **EYES, decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_num_attention_heads=2, mask_ratio=0.75
    )
    module = transformers.ViTMAEForPreTraining(config)
    folder = saved(module)
    described = describe_directory(folder)
    body = module.vit
    assert described.parameters == sum(value.numel() for value in body.parameters())  # and not the decoder's
    body.config.mask_ratio = 0.0
    same(
        open_checkpoint(described).features(images),
        each(body, pixels_of(folder, images), lambda output: output.last_hidden_state.mean(1)),
    )


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_of_a_pair_of_encoders_the_one_of_images_is_read_and_counted(saved, images, kind):
    config = getattr(transformers, f"{kind}Config")(text_config=WORDS, vision_config=EYES)
    module = getattr(transformers, f"{kind}Model")(config)
    folder = saved(module)
    described = describe_directory(folder)
    assert described.modality == "image"
    assert described.parameters == sum(value.numel() for value in module.vision_model.parameters())
    expected = each(module.vision_model, pixels_of(folder, images), lambda output: output.pooler_output)
    same(open_checkpoint(described).features(images), expected)


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_classifier_made_of_a_pair_is_read_where_its_classifier_reads(saved, images, kind):
    config = getattr(transformers, f"{kind}Config")(text_config=WORDS, vision_config=EYES, num_labels=5)
    module = getattr(transformers, f"{kind}ForImageClassification")(config)
    folder = saved(module)
    opened = open_checkpoint(describe_directory(folder))
    logits = each(module, pixels_of(folder, images), lambda output: output.logits)
    with torch.no_grad():
        same(module.classifier(torch.from_numpy(opened.features(images))).numpy(), logits)


def test_the_processor_of_a_pair_in_one_file_is_read(saved, images, tmp_path):
    module = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**EYES))
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    folder = saved(module, processor=processor)
    expected = open_checkpoint(describe_directory(folder)).features(images)
    before = describe_directory(folder).preprocessing_digest
    stated = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": stated}))
    assert describe_directory(folder).preprocessing_digest != before
    np.testing.assert_array_equal(open_checkpoint(describe_directory(folder)).features(images), expected)
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": stated, "auto_map": {"A": "evil.A"}}))
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_directory(folder)


def test_images_of_other_proportions_are_read_where_the_processor_keeps_them(saved, images):
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, do_center_crop=False)
    module = transformers.ViTForImageClassification(transformers.ViTConfig(**EYES, num_labels=3))
    folder = saved(module, processor=processor)
    opened = open_checkpoint(describe_directory(folder))
    with torch.no_grad():
        expected = torch.cat(
            [
                module.vit(pixel_values=image, interpolate_pos_encoding=True).last_hidden_state[:, 0]
                for image in pixels_of(folder, images)
            ]
        ).numpy()
    same(opened.features([*images, images[0]]), np.concatenate([expected, expected[:1]]))


def test_one_channel_models_read_colours_in_grey(saved, images, tmp_path):
    module = transformers.ViTModel(transformers.ViTConfig(**EYES, num_channels=1))
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5], image_std=[0.5])
    opened = open_checkpoint(describe_directory(saved(module, processor=processor)))
    np.testing.assert_array_equal(opened.features(images), opened.features([im.convert("L") for im in images]))
    assert opened.provenance.notes == ("images are read in grey",)
    save_for_hf(timm.create_model("test_resnet", in_chans=1), tmp_path / "timm", safe_serialization=True)
    grey = open_checkpoint(describe_directory(tmp_path / "timm"))
    np.testing.assert_array_equal(grey.features(images), grey.features([im.convert("L") for im in images]))
    assert grey.preparation.prepare(images[0]).shape[0] == 1


def test_models_of_other_channels_are_refused(tmp_path):
    save_for_hf(timm.create_model("test_resnet", in_chans=4), tmp_path / "it", safe_serialization=True)
    with pytest.raises(errors.CheckpointUnreadable, match="4 channels"):
        open_checkpoint(describe_directory(tmp_path / "it"))


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_a_model_saved_without_pooling_is_pooled_and_says_so(tmp_path, images, architecture):
    module = timm.create_model(architecture, num_classes=0, global_pool="").eval()
    save_for_hf(module, tmp_path / "it", safe_serialization=True)
    opened = open_checkpoint(describe_directory(tmp_path / "it"))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    with torch.no_grad():
        hidden = module(torch.stack([transform(image) for image in images]))
    same(opened.features(images), (hidden[:, 0] if architecture == "test_vit" else hidden.mean((2, 3))).numpy())
    assert "saved without pooling" in opened.provenance.notes[0]


RESIZED = {"size": {"height": 32, "width": 32}}


@pytest.mark.parametrize(
    "processor",
    [
        transformers.ViTImageProcessor(**RESIZED),
        transformers.MobileNetV1ImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
        transformers.ViTImageProcessor(do_resize=False, do_pad=True),  # to the largest image of a call
    ],
    ids=["resized", "cut", "padded"],
)
def test_images_are_prepared_together_as_each_one_alone(saved, images, processor):
    folder = saved(vit(), processor=processor)
    given = [*images, *(image.resize((48, 40)) for image in images)]
    alone = [pixels[0] for pixels in pixels_of(folder, given)]
    together = open_checkpoint(describe_directory(folder)).preparation.prepare.together(given)
    assert len(together) == len(given)
    assert all(map(torch.equal, together, alone))


def test_several_images_take_one_call_of_their_processor(saved, images, monkeypatch):
    opened = open_checkpoint(describe_directory(saved(vit())))
    calls = []
    made = transformers.ViTImageProcessor.__call__
    monkeypatch.setattr(
        transformers.ViTImageProcessor, "__call__", lambda *given, **more: calls.append(1) or made(*given, **more)
    )
    opened.features([images[0]] * 32)
    assert 0 < len(calls) <= 8
