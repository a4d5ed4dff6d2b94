"""Facts about checkpoints that are given a new head."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from frontrunner.errors import StudentUnsupported
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.methods import build
from frontrunner.tuning.networks.image_classifier import Normalise
from frontrunner.tuning.options import FinetuneOptions
from frontrunner.tuning.training.loop import TrainingData, train
from frontrunner.tuning.training.state import StateFile
from tests.conftest import write_timm_checkpoint
from tests.tuning.builders import coloured_images, context, image_classifier, schedule


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def test_normalisation_is_the_checkpoints_own_whatever_its_library(hub, zoo):
    given = timm.data.resolve_data_config({}, pretrained_cfg=open_checkpoint(zoo[0]).module.pretrained_cfg)
    found = Normalise.of(open_checkpoint(zoo[0]))
    torch.testing.assert_close(found.mean.flatten(), torch.tensor(given["mean"]))
    torch.testing.assert_close(found.deviation.flatten(), torch.tensor(given["std"]))
    other = Normalise.of(open_checkpoint(describe_directory(hub / "mobilenet")))
    torch.testing.assert_close(other.mean.flatten(), torch.full((3,), 0.5))
    torch.testing.assert_close(other.deviation.flatten(), torch.full((3,), 0.5))


def test_logits_and_features_of_one_pass_are_those_of_timms_own(zoo):
    classifier = image_classifier(zoo[0]).eval()
    pixels = coloured_images(4).plain(torch.arange(4))
    features, logits = classifier.both(pixels)
    torch.testing.assert_close(logits, classifier.network((pixels - 0.5) / 0.5))
    torch.testing.assert_close(classifier.network.get_classifier()(features), logits)
    torch.testing.assert_close(classifier.features(pixels), features)


def test_a_new_head_is_drawn_by_seed_and_the_backbone_is_the_checkpoints(zoo):
    first, again, other = (image_classifier(zoo[0], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.head()[0], again.head()[0])
    assert not torch.equal(first.head()[0], other.head()[0])
    stored = open_checkpoint(zoo[0]).module.state_dict()
    assert all(torch.equal(weight, stored[name]) for name, weight in other.backbone())
    assert len(other.backbone()) + len(other.head()) == len(list(other.network.parameters()))


def test_layers_keep_statistics_that_were_never_measured_and_all_of_them_when_asked(tmp_path, zoo):
    """A folded checkpoint has means of zero and one variance; in training mode it would be another function."""
    folded = describe_directory(write_timm_checkpoint(tmp_path / "folded", "test_resnet", seed=1))
    images = coloured_images(16)
    for place, (description, asked, held) in enumerate(
        ((folded, False, True), (zoo[0], False, False), (zoo[0], True, True))
    ):
        given = context(FinetuneOptions(), tmp_path, images, description)
        method = build(replace(given, hold_statistics=asked))
        before = [part.running_mean.clone() for part in norms(method.module)]
        assert method.held_norms == (len(before) if held else 0)
        state = StateFile(tmp_path / f"{place}.pt", "test")
        train(method, TrainingData(images), schedule(epochs=1, learning_rate=0.001), state)
        unchanged = [
            torch.equal(part.running_mean, was) for part, was in zip(norms(method.module), before, strict=True)
        ]
        assert all(unchanged) if held else not any(unchanged)


def test_a_folded_checkpoint_answers_in_training_as_in_evaluation(tmp_path):
    folded = describe_directory(write_timm_checkpoint(tmp_path / "folded", "test_resnet", seed=1))
    classifier = image_classifier(folded)
    pixels = coloured_images(4).plain(torch.arange(4))
    torch.testing.assert_close(classifier.train()(pixels), classifier.eval()(pixels))


def test_a_transformer_is_set_to_the_size_of_the_images(tmp_path):
    description = describe_directory(write_timm_checkpoint(tmp_path / "vit", "test_vit", seed=1, side=160))
    classifier = image_classifier(description, side=64).eval()
    images: Images = coloured_images(2, size=64)
    assert classifier(images.plain(torch.arange(2))).shape == (2, 3)


def test_a_size_that_an_architecture_does_not_read_is_named(vit):
    with pytest.raises(StudentUnsupported, match="does not read images of 45 pixels"):
        image_classifier(vit, side=45)
