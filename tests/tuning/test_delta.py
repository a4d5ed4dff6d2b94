"""Facts about DELTA: attention and distances of feature maps against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frontrunner.hub import describe_directory
from frontrunner.scores.posterior import posterior
from frontrunner.statistics import FeatureStatistics
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.delta import feature_maps
from frontrunner.tuning.options import DeltaOptions
from frontrunner.tuning.training.method import Batch
from tests.conftest import write_timm_checkpoint
from tests.tuning.builders import coloured_images, context


def batch(images, n=6):
    rows = torch.arange(n)
    return Batch(rows, images.plain(rows), images.labels[rows], None, 0.0)


def moved(method, by):
    """The method with every backbone weight moved by the same amount."""
    with torch.no_grad():
        for _, weight in method.module.backbone():
            weight.add_(by)
    return method


def growth_without_channels(given, images):
    """(channels,) of each stage: mean over images of how steeply the loss answers to a factor on the channel.

    The factor is one, on all of the channel's positions; the loss is the squared error of LogME's linear model.
    """
    features = given.extract(given.pretrained).features
    model = posterior(FeatureStatistics().update(features, labels=images.labels.numpy()))
    weights = torch.from_numpy(model.mean).float()
    reader = given.open_student().eval()
    found = []
    for entry in reader.network.feature_info:
        factors = torch.ones(1, entry["num_chs"], 1, 1, requires_grad=True)
        stage = reader.network.get_submodule(entry["module"])
        hook = stage.register_forward_hook(lambda _stage, _given, output, factors=factors: output * factors)
        growth = np.zeros(entry["num_chs"])
        for row in range(len(images)):
            wanted = torch.eye(3)[images.labels[row]]
            loss = (reader.features(images.plain(torch.tensor([row]))) @ weights - wanted).square().sum()
            growth += torch.autograd.grad(loss, factors)[0].flatten().abs().numpy()
        hook.remove()
        found.append(growth / len(images))
    return found


def test_the_loss_of_delta_is_its_definition_with_attention_from_what_each_channel_is_worth(tmp_path, zoo):
    """lambda sum_stages C sum_j a_j mean_positions (FM_j - FM0_j)^2, mean over images; a = softmax(z / 5), z the
    standardised growth."""
    images = coloured_images(17)  # more than are passed through at once
    given = context(DeltaOptions(strength=0.5), tmp_path, images, zoo[0])
    attention = []
    for growth in growth_without_channels(given, images):
        shares = np.exp((growth - growth.mean()) / growth.std() / 5)
        attention.append(len(shares) * shares / shares.sum())
    assert max(one.max() for one in attention) > 1.5  # far from uniform
    method = moved(build(given), 0.01)
    student, pretrained = method.module.eval(), given.open_student().eval()
    views = batch(images).views
    with torch.no_grad(), feature_maps(student) as now, feature_maps(pretrained) as before:
        student(views)
        pretrained(views)
    expected = 0.0
    for weights, maps, kept in zip(attention, now(), before(), strict=True):
        for image in range(6):
            for channel, weight in enumerate(weights):
                distance = (maps[image, :, channel] - kept[image, :, channel]).square().mean()
                expected += 0.5 * weight * float(distance) / 6
    assert float(method.loss(batch(images)).parts["maps"].detach()) == pytest.approx(expected, rel=1e-3)


def test_by_default_maps_and_the_head_are_held_by_a_hundredth_and_nothing_else_decays(tmp_path, zoo):
    images = coloured_images(6)
    found = []
    for options in (DeltaOptions(), DeltaOptions(strength=1.0, head_strength=1.0)):
        method = moved(build(context(options, tmp_path, images, zoo[0])), 0.01)
        found.append({name: float(part.detach()) for name, part in method.loss(batch(images)).parts.items()})
    assert found[0]["maps"] == pytest.approx(0.01 * found[1]["maps"], rel=1e-5)
    assert found[0]["decay"] == pytest.approx(0.01 * found[1]["decay"], rel=1e-5)
    head = sum(float(weight.detach().square().sum()) for weight in method.module.head())
    assert found[1]["decay"] == pytest.approx(head / 2, rel=1e-5)
    assert {group.decay for group in method.groups} == {0.0}
    heads = {id(weight) for weight in method.module.head()}
    assert {group.rate for group in method.groups if id(group.weights[0]) in heads} == {10.0}
    assert {group.rate for group in method.groups if id(group.weights[0]) not in heads} == {1.0}


def test_delta_starts_at_no_distance_and_grows_with_it(tmp_path, zoo):
    images = coloured_images(12)
    method = build(context(DeltaOptions(strength=1.0, importance_examples=8), tmp_path, images, zoo[0]))
    method.module.eval()
    assert float(method.loss(batch(images)).parts["maps"].detach()) == pytest.approx(0, abs=1e-9)
    near = float(moved(method, 0.001).loss(batch(images)).parts["maps"].detach())
    far = float(moved(method, 0.01).loss(batch(images)).parts["maps"].detach())
    assert 0 < near < far


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_mambaout"])
def test_feature_maps_have_the_channels_that_timm_says(tmp_path, architecture):
    description = describe_directory(write_timm_checkpoint(tmp_path / architecture, architecture, seed=1))
    student = context(DeltaOptions(), tmp_path, coloured_images(4), description).open_student().eval()
    with feature_maps(student) as maps:
        student(coloured_images(2).plain(torch.arange(2)))
    found = maps()
    assert [stage.shape[-1] for stage in found] == [entry["num_chs"] for entry in student.network.feature_info]
    assert all(len(stage) == 2 and stage.ndim == 3 for stage in found)
