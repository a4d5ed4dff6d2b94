"""Facts about DAN, DANN and MDD: signs of reversed gradients and distances against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.dan import squared_mmd
from frontrunner.tuning.methods.dann import domain_loss
from frontrunner.tuning.methods.mdd import margin_disparity
from frontrunner.tuning.methods.reversal import reverse_gradient, warmed_up
from frontrunner.tuning.options import DANNOptions, DANOptions, MDDOptions
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


def test_the_mmd_is_its_definition_by_loops_with_the_median_of_the_distances_between_different_points():
    """Skewed distances, so that their mean is far from their median, and sets of different sizes."""
    first, second = [[0.0, 0.0], [0.3, 0.1], [0.5, 0.9]], [[1.0, 0.2], [9.0, 0.0]]
    both = first + second

    def squared(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    apart = sorted(squared(a, b) for i, a in enumerate(both) for j, b in enumerate(both) if i != j)
    median = apart[(len(apart) - 1) // 2]  # of an even count torch takes the lower one
    assert median < np.mean(apart) / 2

    def kernel(a, b):
        return sum(math.exp(-squared(a, b) / (factor * median)) for factor in (0.25, 0.5, 1, 2, 4)) / 5

    expected = (
        sum(kernel(a, b) for a in first for b in first) / 9
        + sum(kernel(a, b) for a in second for b in second) / 4
        - 2 * sum(kernel(a, b) for a in first for b in second) / 6
    )
    assert float(squared_mmd(torch.tensor(first), torch.tensor(second))) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_dan_is_the_mmd_between_the_features_of_both_domains_times_its_strength(tmp_path, zoo):
    images, others = coloured_images(6), coloured_images(6, seed=5)
    rows = torch.arange(6)
    for options, strength in ((DANOptions(), 1.0), (DANOptions(strength=2.5), 2.5)):
        method = build(context(options, tmp_path, images, zoo[0]))
        student = method.module.eval()
        parts = method.loss(Batch(rows, images.plain(rows), images.labels, others.plain(rows), 0.0)).parts
        source, target = student.features(images.plain(rows)), student.features(others.plain(rows))
        assert float(parts["mmd"].detach()) == pytest.approx(
            strength * float(squared_mmd(source, target).detach()), rel=1e-5
        )


def test_reversal_warms_up_from_nothing_to_all():
    """2 / (1 + exp(-10 p)) - 1 is the hyperbolic tangent of 5 p."""
    for progress in (0.0, 0.1, 0.35, 1.0):
        assert warmed_up(progress) == pytest.approx(math.tanh(5 * progress), abs=1e-12)


def test_the_domain_loss_is_the_mean_logistic_loss_with_the_source_as_one():
    critic = nn.Linear(1, 1)
    with torch.no_grad():
        critic.weight.fill_(2.0)
        critic.bias.fill_(0.5)
    expected = (math.log1p(math.exp(-2.5)) + math.log1p(math.exp(-1.5)) + math.log1p(math.exp(0.5 - 2))) / 3
    found = domain_loss(critic, torch.tensor([[1.0], [0.5]]), torch.tensor([[-1.0]]), 1.0)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_disparity_without_any_doubt_is_finite():
    """-log(1 - p) of a probability that rounds to one is cut at -log(1e-6)."""
    certain = torch.tensor([[100.0, 0.0]])
    found = margin_disparity(certain, certain, certain, certain, margin=4.0)
    assert float(found) == pytest.approx(-math.log(1e-6), rel=0.02)


@pytest.mark.parametrize(("options", "strongest"), [(DANNOptions(), 1.0), (MDDOptions(), 0.1)])
def test_by_default_gradients_are_reversed_as_strongly_as_in_the_methods_source(tmp_path, vit, options, strongest):
    """DANN's reach 1, MDD's 0.1; a method of strength 1 tells by how much."""
    images, others = coloured_images(6), coloured_images(6, seed=5)
    rows = torch.arange(6)
    part = "domains" if options.name == "dann" else "disparity"
    found = []
    for given in (options, options.model_copy(update={"strength": 1.0})):
        method = build(context(given, tmp_path, images, vit))
        weight = dict(method.module.student.backbone())["blocks.0.mlp.fc1.weight"]
        batch = Batch(rows, images.plain(rows), images.labels, others.plain(rows), 0.5)
        found.append(torch.autograd.grad(method.loss(batch).parts[part], weight)[0])
    scale = float(found[1].abs().max())
    torch.testing.assert_close(found[0], strongest * found[1], rtol=1e-3, atol=1e-3 * strongest * scale)


def test_the_critics_learn_at_the_rate_of_the_head_and_the_one_of_dann_has_a_hidden_layer_of_256(tmp_path, vit):
    images = coloured_images(6)
    for options in (DANNOptions(), MDDOptions()):
        method = build(context(options, tmp_path, images, vit))
        critic = method.module.critic if options.name == "dann" else method.module.adversary
        own = {id(weight) for weight in critic.parameters()}
        rates = {group.rate for group in method.groups for weight in group.weights if id(weight) in own}
        assert rates == {10.0}
    dann = build(context(DANNOptions(), tmp_path, images, vit)).module.critic
    assert [layer.out_features for layer in dann if isinstance(layer, nn.Linear)] == [256, 1]


def test_the_loss_of_mdd_is_its_definition_with_the_sources_part_four_times(tmp_path, vit):
    images, others = coloured_images(6), coloured_images(6, seed=5)
    rows = torch.arange(6)
    method = build(context(MDDOptions(), tmp_path, images, vit))
    student, adversary = method.module.student.eval(), method.module.adversary
    found = method.loss(Batch(rows, images.plain(rows), images.labels, others.plain(rows), 0.5)).parts["disparity"]
    terms = []
    for views, weight in ((images.plain(rows), 4.0), (others.plain(rows), None)):
        features, logits = student.both(views)
        doubts = adversary(features).softmax(dim=1).detach().numpy()
        for row, answer in zip(doubts, logits.argmax(dim=1).tolist(), strict=True):
            terms.append(-math.log(1 - row[answer]) if weight is None else -weight * math.log(row[answer]))
    assert float(found.detach()) == pytest.approx(sum(terms) / 6, rel=1e-4)


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
