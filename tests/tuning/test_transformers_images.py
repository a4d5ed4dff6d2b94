"""Facts about checkpoints of images in transformers' form: tuned, written, and opened again by transformers itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from frontrunner import errors
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.tuning import METHODS
from frontrunner.tuning.methods import build
from frontrunner.tuning.networks.image_classifier import norms
from frontrunner.tuning.run import fit, run_tuning
from frontrunner.tuning.training.method import Batch
from tests.conftest import write_transformers_checkpoint
from tests.tuning.builders import SIDE, coloured_images, context, image_classifier, payload, payload_for

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SIZES = TINY | {"image_size": SIDE, "patch_size": 8, "num_labels": 7}
OTHERS = [name for name, method in METHODS.items() if "image" in method.modalities and "transformers" in method.forms]


def vision_checkpoint(folder, module):
    """A folder of a module with a processor that makes 32 pixels a side."""
    module.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return describe_directory(folder)


def made(kind, folder):
    """A tiny checkpoint of random weights."""
    torch.manual_seed(4)
    if kind == "mobilenet":
        return describe_directory(write_transformers_checkpoint(folder, seed=4))
    module = {
        "vit": lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES)),
        "vit alone": lambda: transformers.ViTModel(transformers.ViTConfig(**SIZES), add_pooling_layer=False),
        "dinov2 alone": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SIZES)),
        "deit of two heads": lambda: transformers.DeiTForImageClassificationWithTeacher(
            transformers.DeiTConfig(**SIZES)
        ),
        "resnet": lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(embedding_size=16, hidden_sizes=[32, 64], depths=[1, 1], num_labels=7)
        ),
    }[kind]()
    return vision_checkpoint(folder, module)


@pytest.fixture(scope="module")
def mobilenets(tmp_path_factory):
    """Three of one architecture."""
    root = tmp_path_factory.mktemp("mobilenets")
    return tuple(
        describe_directory(write_transformers_checkpoint(root / f"mobilenet{seed}", seed=seed)) for seed in range(3)
    )


@pytest.fixture(scope="module")
def pixels():
    return coloured_images(4).plain(torch.arange(4))


@pytest.mark.parametrize("kind", ["mobilenet", "vit", "vit alone", "dinov2 alone", "deit of two heads", "resnet"])
def test_what_is_written_is_opened_by_transformers_and_answers_as_it_was_trained(tmp_path, colour_task, pixels, kind):
    work = payload("finetune", colour_task, made(kind, tmp_path / "given"), (), tmp_path, hold_statistics=True)
    output = run_tuning(work)
    folder = work.work_dir / "model"
    trained = fit(work).method.module
    again = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = trained(pixels)
        torch.testing.assert_close(again((pixels - 0.5) / 0.5).logits, expected)
    assert again.config.id2label == {0: "class-0", 1: "class-1", 2: "class-2"}
    opened = open_checkpoint(describe_directory(folder))
    with torch.inference_mode():
        torch.testing.assert_close(opened.forward((pixels - 0.5) / 0.5).source_logits, expected)
    heads = 2 if kind == "deit of two heads" else 1  # one is trained, and written in both places
    head = sum(weight.numel() for weight in trained.head())
    assert output.parameters + (heads - 1) * head == sum(weight.numel() for weight in again.parameters())
    card = (folder / "README.md").read_text()
    assert "library_name: transformers" in card
    assert describe_directory(folder).license is None
    assert json.loads((folder / "config.json").read_text())["provenance"]["method"] == {"name": "finetune"}


def test_the_written_processor_shows_a_model_what_the_tuning_showed_it(tmp_path, colour_task):
    """An image of the size that decoding keeps: its middle, normalised as the checkpoint's own processor does it."""
    work = payload("linear_probe", colour_task, made("mobilenet", tmp_path / "given"), (), tmp_path, epochs=1)
    run_tuning(work)
    pixels = np.random.default_rng(0).integers(0, 255, (37, 37, 3), dtype=np.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(work.work_dir / "model")
    seen = processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    expected = torch.from_numpy(pixels[2:34, 2:34].transpose(2, 0, 1)).float() / 255
    torch.testing.assert_close(seen, (expected - 0.5) / 0.5)
    assert describe_directory(work.work_dir / "model").input_size == SIDE


def test_features_are_those_that_rankings_read_and_no_dropout_lies_before_the_head(tmp_path, pixels):
    """MobileNets state 0.999, TensorFlow's share of features that are kept, where the class drops that share."""
    description = made("mobilenet", tmp_path / "given")
    assert transformers.AutoConfig.from_pretrained(description.path).classifier_dropout_prob == 0.999
    classifier = image_classifier(description, hold_statistics=True)
    opened = open_checkpoint(description)
    with torch.inference_mode():
        ranked = opened.forward((pixels - 0.5) / 0.5).features
        torch.testing.assert_close(classifier.train().features(pixels), ranked)
        torch.testing.assert_close(classifier.eval().both(pixels)[0], ranked)
    assert classifier.reads_as_ranked


def test_running_statistics_move_by_a_tenth_and_not_to_those_of_the_last_batch(tmp_path, pixels):
    classifier = image_classifier(made("mobilenet", tmp_path / "given"))
    norm = norms(classifier)[0]
    before, seen = norm.running_mean.clone(), []
    norm.register_forward_pre_hook(lambda _layer, arguments: seen.append(arguments[0].mean(dim=(0, 2, 3))))
    classifier.held = []
    with torch.no_grad():
        classifier.train()(pixels)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * seen[0])


def test_weights_stored_in_half_precision_are_trained_in_float32(tmp_path, colour_task):
    folder = write_transformers_checkpoint(tmp_path / "given", seed=1)
    transformers.AutoModelForImageClassification.from_pretrained(folder).half().save_pretrained(folder)
    work = payload("finetune", colour_task, describe_directory(folder), (), tmp_path, epochs=1)
    fitted = fit(work)
    assert {weight.dtype for weight in fitted.method.parameters()} == {torch.float32}


def test_positions_are_interpolated_for_images_of_another_size(tmp_path, colour_task):
    work = payload("finetune", colour_task, made("vit", tmp_path / "given"), (), tmp_path, epochs=1, image_size=48)
    run_tuning(work)
    images = coloured_images(2, size=48).plain(torch.arange(2))
    again = transformers.AutoModelForImageClassification.from_pretrained(work.work_dir / "model").eval()
    with torch.inference_mode():
        expected = fit(work).method.module(images)
        answered = again((images - 0.5) / 0.5, interpolate_pos_encoding=True).logits
    torch.testing.assert_close(answered, expected)


def test_onnx_files_answer_as_the_model(tmp_path, colour_task):
    work = payload("finetune", colour_task, made("mobilenet", tmp_path / "given"), (), tmp_path, epochs=1, onnx=True)
    model = run_tuning(work).models[0]
    assert model.note is None
    assert model.onnx.largest_difference < 1e-4
    assert model.int8.calibration_examples == 27


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "lora"])
def test_every_method_that_says_so_is_built_of_them_and_has_a_loss(tmp_path, mobilenets, name):
    method, images, rows = METHODS[name], coloured_images(9), torch.arange(9)
    given = context(method(), tmp_path, images, mobilenets[0], mobilenets, hold_statistics=True)
    built = build(given)
    built.module.train()
    views = images.plain(rows)
    batch = Batch(rows, views, images.labels, views if method.needs_source else None, 0.5)
    assert torch.isfinite(sum(built.loss(batch).parts.values()))
    assert {type(model).__name__ for model in built.models().values()} <= {"TransformersClassifier"}
    assert bool(built.models()) == method.exports_plain_models


def test_layers_mixed_of_several_are_folded_and_written(tmp_path, mobilenets, colour_task):
    work = payload_for("lite_zoo_tuning", colour_task, mobilenets, tmp_path, epochs=1, hold_statistics=True)
    run_tuning(work)
    again = transformers.AutoModelForImageClassification.from_pretrained(work.work_dir / "model")
    assert again.config.num_labels == 3


def test_bounds_are_there_as_they_are_of_timms_checkpoints(tmp_path, mobilenets, colour_task):
    output = run_tuning(payload("finetune", colour_task, mobilenets[0], (), tmp_path, hold_statistics=True))
    assert output.generalisation.missing == {}
    assert any(gap.name.startswith("PAC-Bayes") for gap in output.generalisation.gaps)


def test_a_mixture_of_layers_that_pad_as_tensorflow_does_answers_as_its_leader(mobilenets, pixels):
    from frontrunner.tuning.methods.zoo_tuning import make_zoo

    teachers = [image_classifier(found, hold_statistics=True).eval() for found in mobilenets]
    zoo = make_zoo(teachers, [1.0, 0.0, 0.0], shared=False).eval()
    with torch.inference_mode():
        torch.testing.assert_close(zoo(pixels), teachers[0](pixels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "transformers" not in method.forms])
def test_methods_that_ask_timm_about_layers_refuse_them_and_name_those_that_do_not(
    tmp_path, mobilenets, colour_task, name
):
    with pytest.raises(errors.MethodUnsuited, match="mobilenet0 is in the form of transformers: for it there are"):
        payload_for(name, colour_task, mobilenets, tmp_path)


def test_a_variant_has_no_form_as_a_tuned_model(tmp_path, colour_task):
    from frontrunner.hub.describing.reading import ImagePooling

    described = made("vit", tmp_path / "given")
    variant = described.model_copy(update={"image_pooling": ImagePooling(layer=1)})
    with pytest.raises(errors.StudentUnsupported, match="name the checkpoint itself"):
        payload("finetune", colour_task, variant, (), tmp_path)
    with pytest.raises(errors.StudentUnsupported, match="name the checkpoint itself"):
        image_classifier(variant)


def test_a_family_whose_classifier_reads_other_features_says_so(tmp_path):
    """DINOv2's classifier sees the class token beside the mean of the patches; rankings read the class token."""
    described = made("dinov2 alone", tmp_path / "given")
    classifier = image_classifier(described)
    assert not classifier.reads_as_ranked
    assert classifier.linear_head().in_features == 2 * 16
    given = context(METHODS["b_tuning"](), tmp_path, coloured_images(6), described, (described,))
    with pytest.raises(errors.StudentUnsupported, match="other features than those that rankings read"):
        build(given)


def test_a_family_without_a_classifier_is_refused(tmp_path):
    module = transformers.ViTMAEModel(transformers.ViTMAEConfig(**SIZES, decoder_hidden_size=16))
    with pytest.raises(errors.StudentUnsupported, match="no classifier of images of the family vit_mae"):
        image_classifier(vision_checkpoint(tmp_path / "mae", module))


def test_weights_that_are_missing_outside_of_the_classifier_are_refused(tmp_path):
    """A masked autoencoder's BEiT is saved without the norm that its classifier pools by."""
    config = transformers.BeitConfig(**SIZES, use_mean_pooling=True, layer_norm_eps=1e-5)
    module = transformers.BeitModel(config, add_pooling_layer=False)
    with pytest.raises(errors.StudentUnsupported, match="weights are missing"):
        image_classifier(vision_checkpoint(tmp_path / "beit", module))
