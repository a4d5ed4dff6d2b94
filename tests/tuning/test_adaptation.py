"""Facts about DAN, DANN and MDD: signs of reversed gradients and distances against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.dan import squared_mmd
from frontrunner.tuning.methods.dann import domain_loss
from frontrunner.tuning.methods.mdd import margin_disparity
from frontrunner.tuning.methods.reversal import reverse_gradient, warmed_up
from frontrunner.tuning.options import DANNOptions, MDDOptions
from frontrunner.tuning.training.method import Batch
from tests.tuning.builders import coloured_images, context


def test_reversal_is_the_identity_forward_and_minus_the_strength_backward():
    inputs = torch.randn(3, 2, requires_grad=True)
    answered = reverse_gradient(inputs, 0.5)
    assert torch.equal(answered, inputs)
    answered.sum().backward()
    torch.testing.assert_close(inputs.grad, torch.full((3, 2), -0.5))


def test_the_domain_critic_goes_down_its_loss_and_the_features_go_up():
    torch.manual_seed(0)
    critic = nn.Linear(4, 1)
    source, target = torch.randn(5, 4) + 1, torch.randn(5, 4) - 1
    source.requires_grad_(True)
    loss = domain_loss(critic, source, target, strength=1.0)
    loss.backward()
    with torch.no_grad():
        better_critic = nn.Linear(4, 1)
        better_critic.weight.copy_(critic.weight - 0.1 * critic.weight.grad)
        better_critic.bias.copy_(critic.bias - 0.1 * critic.bias.grad)
        assert float(domain_loss(better_critic, source, target, 1.0)) < float(loss)
        moved = source - 0.1 * source.grad
        assert float(domain_loss(critic, moved, target, 1.0)) > float(loss)


def test_mdds_adversary_disagrees_on_the_target_and_the_features_undo_it():
    torch.manual_seed(0)
    adversary = nn.Linear(4, 3)
    source, target = torch.randn(6, 4), torch.randn(6, 4, requires_grad=True)
    answers = torch.randn(6, 3), torch.randn(6, 3)

    def disparity(by, features):
        return margin_disparity(by(source), answers[0], by(reverse_gradient(features, 1.0)), answers[1], margin=2.0)

    loss = disparity(adversary, target)
    loss.backward()
    with torch.no_grad():
        doubting = nn.Linear(4, 3)
        doubting.weight.copy_(adversary.weight - 0.1 * adversary.weight.grad)
        doubting.bias.copy_(adversary.bias - 0.1 * adversary.bias.grad)
        assert float(disparity(doubting, target)) < float(loss)
        assert float(disparity(adversary, target - 0.1 * target.grad)) > float(loss)


def test_margin_disparity_is_its_definition():
    doubt_source, doubt_target = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    answer_source, answer_target = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 3.0]])
    agreed = -math.log(math.exp(0) / (math.exp(2) + math.exp(0)))
    disagreed = -math.log(1 - math.exp(1) / (math.exp(1) + 1))
    found = margin_disparity(doubt_source, answer_source, doubt_target, answer_target, margin=4.0)
    assert float(found) == pytest.approx(4 * agreed + disagreed, rel=1e-5)


def test_the_mmd_of_a_set_and_itself_is_zero_and_grows_with_the_shift():
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert float(squared_mmd(features, features)) == pytest.approx(0, abs=1e-6)
    assert 0 < float(squared_mmd(features, features + 0.5)) < float(squared_mmd(features, features + 2))


def test_the_mmd_of_two_points_is_its_closed_form():
    """All distances but the diagonal's are d: the median is d^2, and MMD^2 = 2 - 2 k(d), k the mean of five kernels."""
    first, second = torch.tensor([[0.0]]), torch.tensor([[3.0]])
    kernel = sum(math.exp(-1 / factor) for factor in (0.25, 0.5, 1, 2, 4)) / 5
    assert float(squared_mmd(first, second)) == pytest.approx(2 - 2 * kernel, rel=1e-5)


def test_reversal_warms_up_from_nothing_to_all():
    assert warmed_up(0.0) == 0.0
    assert warmed_up(1.0) == pytest.approx(1.0, abs=1e-4)
    assert warmed_up(0.2) < warmed_up(0.6)


@pytest.mark.parametrize("options", [DANNOptions(), MDDOptions()])
def test_gradients_reach_the_backbone_reversed_as_far_as_the_strength_says(tmp_path, vit, options):
    """The adversarial part's gradient at progress p is -strength(p) times that with nothing reversed."""
    images = coloured_images(6)
    rows = torch.arange(6)
    method = build(context(options, tmp_path, images, vit))
    part = "domains" if options.name == "dann" else "disparity"
    weight = dict(method.module.student.backbone())["blocks.0.mlp.fc1.weight"]

    def gradient(progress):
        batch = Batch(rows, images.plain(rows), images.labels, coloured_images(6, seed=5).plain(rows), progress)
        return torch.autograd.grad(method.loss(batch).parts[part], weight)[0]

    assert float(gradient(0.0).abs().max()) == 0
    torch.testing.assert_close(gradient(0.3) / warmed_up(0.3), gradient(0.9) / warmed_up(0.9), rtol=1e-3, atol=1e-7)
