"""Facts about how far a step goes: the schedule, momentum, decay, and the multiples of heads."""

from __future__ import annotations

import math

import pytest
import torch

from frontrunner.tuning.methods import build
from frontrunner.tuning.options import OPTIMISERS, RATES, FinetuneOptions, LinearProbeOptions
from frontrunner.tuning.training.loop import TrainingData, train
from frontrunner.tuning.training.method import Method, Outcome, RateGroup
from frontrunner.tuning.training.state import StateFile
from tests.tuning.builders import Linear, coloured_images, context, schedule

STEPS = 6  # of three epochs of 16 images in batches of 8


def trained(path, loss, decay=0.0, **changes):
    """A linear map of ones, trained with `loss` of (module, logits)."""
    module = Linear()
    with torch.no_grad():
        module.map.weight.fill_(1.0)

    def outcome(batch):
        logits = module(batch.views)
        return Outcome({"part": loss(module, logits)}, logits)

    method = Method(module, [RateGroup(list(module.parameters()), 1.0, decay)], outcome, module, dict)
    steps = schedule(epochs=3, learning_rate=0.1, **changes)
    return train(method, TrainingData(coloured_images(16)), steps, StateFile(path / "state.pt", "test")), module


def cosine(step):
    return 0.05 * (1 + math.cos(math.pi * step / STEPS))


@pytest.mark.parametrize("anneal", [True, False])
def test_steps_are_nesterovs_with_momentum_nine_tenths_and_rates_fall_along_a_cosine_to_zero(tmp_path, anneal):
    """The gradient of the sum of biases is one: a velocity v <- 0.9 v + 1, a step of rate x (1 + 0.9 v)."""
    _, module = trained(tmp_path, lambda module, _: module.map.bias.sum(), anneal=anneal)
    velocity, bias = 0.0, 0.0
    for step in range(STEPS):
        velocity = 0.9 * velocity + 1
        bias -= (cosine(step) if anneal else 0.1) * (1 + 0.9 * velocity)
    assert float(module.map.bias[0].detach()) == pytest.approx(bias, rel=1e-5)


def test_the_curve_tells_the_rate_that_an_epoch_ended_with(tmp_path):
    reached, _ = trained(tmp_path, lambda _, logits: logits.square().mean())
    assert [point.learning_rate for point in reached.curve] == pytest.approx([cosine(step) for step in (1, 3, 5)])


def test_decay_shrinks_weights_that_no_loss_moves(tmp_path):
    """With no gradient but the decay's, d w, and momentum: v <- 0.9 v + d w, w <- w - rate (d w + 0.9 v)."""
    _, module = trained(tmp_path, lambda _, logits: 0 * logits.sum(), decay=0.5)
    velocity, weight = 0.0, 1.0
    for step in range(STEPS):
        velocity = 0.9 * velocity + 0.5 * weight
        weight -= cosine(step) * (0.5 * weight + 0.9 * velocity)
    assert float(module.map.weight[0, 0].detach()) == pytest.approx(weight, rel=1e-5)


def test_texts_are_tuned_by_adamw_whose_steps_have_the_length_of_the_rate(tmp_path):
    """Of a constant gradient both moments, corrected, are its own: each step is the rate."""
    assert OPTIMISERS == {"image": "sgd", "text": "adamw"}
    _, module = trained(tmp_path, lambda module, _: 7 * module.map.bias.sum(), optimiser="adamw")
    expected = -sum(cosine(step) for step in range(STEPS))
    assert float(module.map.bias[0].detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("times", "ended"), [(99.0, "completed"), (101.0, "diverged")])
@pytest.mark.parametrize("start", [3.0, 0.25])
def test_a_loss_over_a_hundred_times_its_start_or_over_a_hundred_has_diverged(tmp_path, start, times, ended):
    """In the second epoch; a start below one counts as one."""
    losses = iter([start, start, times * max(1.0, start), *[start] * STEPS])
    reached, _ = trained(tmp_path, lambda _, logits: 0 * logits.sum() + next(losses))
    assert reached.ended == ended


def test_rates_that_are_tried_are_half_a_decade_apart():
    assert RATES == {"sgd": (0.0003, 0.001, 0.003), "adamw": (0.00003, 0.0001, 0.0003, 0.001)}


@pytest.mark.parametrize("options", [FinetuneOptions(), LinearProbeOptions()])
def test_a_new_head_learns_ten_times_as_fast_and_matrices_and_kernels_alone_decay_by_a_ten_thousandth(
    tmp_path, zoo, options
):
    method = build(context(options, tmp_path, coloured_images(6), zoo[0]))
    head = {id(weight) for weight in method.module.head()}
    told = {id(weight): (group.rate, group.decay) for group in method.groups for weight in group.weights}
    every = head if options.name == "linear_probe" else {id(weight) for weight in method.module.parameters()}
    assert told.keys() == every
    for weight in method.module.parameters():
        if id(weight) in told:
            expected = (10.0 if id(weight) in head else 1.0, 1e-4 if weight.ndim > 1 else 0.0)
            assert told[id(weight)] == expected
