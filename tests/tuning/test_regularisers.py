"""Facts about the methods that hold a student back: penalties against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner.errors import StudentUnsupported
from frontrunner.hub import describe_directory
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.anchors import Anchors
from frontrunner.tuning.methods.bss import smallest_squared_singular_values
from frontrunner.tuning.methods.discriminative import layer_rates
from frontrunner.tuning.methods.ewc import diagonal_fisher
from frontrunner.tuning.options import (
    BSSOptions,
    DiscriminativeOptions,
    EWCOptions,
    L2SPOptions,
    LinearProbeOptions,
    LwFOptions,
)
from frontrunner.tuning.randomness import NOISE, generator_at
from frontrunner.tuning.training.method import Batch, cross_entropy, divergence
from tests.conftest import write_timm_checkpoint
from tests.tuning.builders import coloured_images, context


def batch(images, n=6):
    rows = torch.arange(n)
    return Batch(rows, images.plain(rows), images.labels[rows], None, 0.0)


def moved(method, by=0.1):
    """The method with every backbone weight moved by the same amount."""
    with torch.no_grad():
        for _, weight in method.module.backbone():
            weight.add_(by)
    return method


def test_l2_sp_pulls_by_the_distance_from_the_pretrained_weights(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(L2SPOptions(strength=0.5, head_strength=2.0), tmp_path, images, zoo[0]))
    head = sum(float(weight.detach().square().sum()) for weight in method.module.head())
    assert float(method.loss(batch(images)).parts["pull"].detach()) == pytest.approx(head, rel=1e-5)
    count = sum(weight.numel() for _, weight in method.module.backbone())
    parts = moved(method).loss(batch(images)).parts
    assert float(parts["pull"].detach()) == pytest.approx(head + 0.25 * count * 0.01, rel=1e-4)
    assert all(group.decay == 0 for group in method.groups)
    heads = {id(weight) for weight in method.module.head()}
    assert [(group.rate, id(group.weights[0]) in heads) for group in method.groups] == [(1.0, False), (10.0, True)]


def test_the_gradient_of_the_pull_leads_back(tmp_path):
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    anchors = Anchors([weight], [torch.tensor([1.0, 3.0])])
    with torch.no_grad():
        weight.add_(torch.tensor([0.5, -0.5]))
    anchors().backward()
    torch.testing.assert_close(weight.grad, torch.tensor([1.0, -3.0]))


def test_the_diagonal_fisher_is_the_diagonal_of_the_dense_one():
    """F = E_x J' (diag(p) - p p') J, with J the logits' derivative by all weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    inputs = torch.randn(5, 3)
    weights = list(network.parameters())
    dense = 0
    for row in inputs:

        def logits(*given, row=row):
            names = [name for name, _ in network.named_parameters()]
            return torch.func.functional_call(network, dict(zip(names, given, strict=True)), (row[None],))[0]

        jacobian = torch.cat(
            [part.reshape(3, -1) for part in torch.autograd.functional.jacobian(logits, tuple(weights))], dim=1
        )
        p = network(row[None])[0].softmax(dim=0).detach()
        dense = dense + jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian / len(inputs)
    exact = diagonal_fisher(network, weights, inputs.split(1), draws=None)
    torch.testing.assert_close(torch.cat([part.flatten() for part in exact]), dense.diagonal(), rtol=1e-4, atol=1e-7)
    drawn = diagonal_fisher(network, weights, inputs.split(1), draws=300, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.cat([part.flatten() for part in drawn]), dense.diagonal(), rtol=0.3, atol=5e-3)


def test_ewc_is_l2_sp_whose_pulls_have_mean_one(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(EWCOptions(strength=0.5, fisher_examples=4), tmp_path, images, zoo[0]))
    assert float(method.loss(batch(images)).parts["pull"].detach()) == 0
    count = sum(weight.numel() for _, weight in method.module.backbone())
    pull = float(moved(method).loss(batch(images)).parts["pull"].detach())
    assert pull == pytest.approx(0.25 * count * 0.01, rel=1e-3)


def test_ewc_holds_each_weight_by_the_fisher_of_labels_that_the_checkpoint_draws_itself(tmp_path, zoo):
    """The share of one layer in the pull is its share in sums of squared derivatives of log p(y | x)."""
    images = coloured_images(6)
    given = context(EWCOptions(strength=1.0, fisher_examples=4), tmp_path, images, zoo[0])
    method = build(given)
    network, few = given.open_at_size(zoo[0]).module.eval(), given.sample(4)
    generator, total, names = generator_at(0, NOISE, 0), {}, [name for name, _ in method.module.backbone()]
    for row in range(4):
        network.zero_grad()
        answered = network(method.module.normalise(few.plain(torch.tensor([row]))))[0].log_softmax(dim=0)
        label = torch.multinomial(answered.detach().exp(), 1, replacement=True, generator=generator)
        answered[label].sum().backward()
        for name in names:
            total[name] = total.get(name, 0) + network.get_parameter(name).grad.square()
    mean = sum(float(one.sum()) for one in total.values()) / sum(one.numel() for one in total.values())
    weights = dict(method.module.backbone())
    for name in (names[0], names[-1]):
        with torch.no_grad():
            weights[name].add_(0.1)
        pull = float(method.loss(batch(images)).parts["pull"].detach())
        assert pull == pytest.approx(0.5 * 0.01 * float(total[name].sum()) / mean, rel=1e-3)
        with torch.no_grad():
            weights[name].sub_(0.1)
    assert {group.decay for group in method.groups if group.rate == 1.0} == {0.0}


def test_penalties_have_the_strengths_of_their_sources_by_default(tmp_path, zoo):
    """L2-SP's alpha and beta are 0.01 in its public code, the strength of EWC is L2-SP's, BSS has eta 0.001 and k 1."""
    images = coloured_images(6)
    pairs = [
        (L2SPOptions(), L2SPOptions(strength=0.01, head_strength=0.01), "pull"),
        (EWCOptions(), EWCOptions(strength=0.01, fisher_examples=64), "pull"),
        (BSSOptions(), BSSOptions(strength=0.001, values=1), "shrinkage"),
    ]
    for pair in pairs:
        found = []
        for options in pair[:2]:
            method = moved(build(context(options, tmp_path, images, zoo[0])))
            found.append(float(method.loss(batch(images)).parts[pair[2]].detach()))
        assert found[0] == pytest.approx(found[1], rel=1e-6)
        assert found[0] > 0


def test_ewc_and_lwf_need_a_classifier_of_the_checkpoints_own(tmp_path):
    backbone = describe_directory(write_timm_checkpoint(tmp_path / "bare", "test_resnet", seed=1, classes=0))
    for options in (EWCOptions(), LwFOptions()):
        with pytest.raises(StudentUnsupported, match="classifier of its own"):
            build(context(options, tmp_path / options.name, coloured_images(6), backbone))


@pytest.mark.parametrize("count", [1, 3])
def test_the_gradient_of_spectral_shrinkage_is_that_of_a_full_svd(count):
    features = torch.randn(8, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = features.float().requires_grad_(True), features.clone().requires_grad_(True)
    smallest_squared_singular_values(ours, count).backward()
    _, values, _ = torch.linalg.svd(theirs, full_matrices=False)
    values[-count:].square().sum().backward()
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-5)
    u, s, v = torch.linalg.svd(features, full_matrices=False)
    closed = 2 * u[:, -count:] @ torch.diag(s[-count:]) @ v[-count:]
    torch.testing.assert_close(ours.grad.double(), closed, rtol=1e-4, atol=1e-5)


def test_spectral_shrinkage_has_a_gradient_where_singular_values_are_equal():
    features = torch.eye(4).requires_grad_(True)
    smallest_squared_singular_values(features, 2).backward()
    assert torch.isfinite(features.grad).all()


def test_bss_adds_the_shrinkage_of_the_heads_own_features(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(BSSOptions(strength=2.0, values=2), tmp_path, images, zoo[0]))
    method.module.train()
    part = method.loss(batch(images)).parts["shrinkage"].detach()
    features = method.module.features(batch(images).views)
    torch.testing.assert_close(
        part, 2 * torch.linalg.svdvals(features)[-2:].square().sum().detach(), rtol=1e-3, atol=1e-6
    )


def test_lwf_is_content_while_the_old_answers_stand(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(LwFOptions(strength=1.0), tmp_path, images, zoo[0]))
    method.module.eval()
    assert float(method.loss(batch(images)).parts["old"].detach()) == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        method.module.old.weight.mul_(-20)
    assert float(method.loss(batch(images)).parts["old"].detach()) > 0.01
    assert set(method.models()) == {"model"}


def test_the_loss_of_lwf_is_the_softened_divergence_from_the_recorded_answers(tmp_path, zoo):
    """T^2 KL at T = 2, once, by default: the recorded softened answers are p^(1/2) / sum of p^(1/2)."""
    images = coloured_images(6)
    given = context(LwFOptions(), tmp_path, images, zoo[0])
    roots = np.sqrt(given.extract(zoo[0]).source_probabilities.astype(np.float64))
    wanted = roots / roots.sum(axis=1, keepdims=True)
    method = build(given)
    method.module.eval()
    with torch.no_grad():
        method.module.old.weight.mul_(-20)
        answered = method.module.old(method.module.student.features(batch(images).views))
        found = float(method.loss(batch(images)).parts["old"])
    softened = (answered.double() / 2).softmax(dim=1).numpy()
    assert found == pytest.approx(4 * (wanted * np.log(wanted / softened)).sum(axis=1).mean(), rel=1e-4)
    old = {id(weight) for weight in method.module.old.parameters()}
    assert {group.rate for group in method.groups for weight in group.weights if id(weight) in old} == {1.0}


def test_softened_divergence_is_its_definition():
    answers = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    wanted = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    expected = 0.0
    for row, target in zip(answers, wanted, strict=True):
        given = [math.exp(float(value) / 2) for value in row]
        for share, value in zip(target, given, strict=True):
            expected += float(share) * math.log(float(share) / (value / sum(given))) / 2
    assert float(divergence(answers, wanted, 2.0)) == pytest.approx(4 * expected, rel=1e-5)


def test_rates_decay_from_the_last_layer_to_the_first(tmp_path, zoo):
    student = context(LinearProbeOptions(), tmp_path, coloured_images(4), zoo[0]).open_student()
    rate_of = {id(weight): group.rate for group in layer_rates(student, 0.5) for weight in group.weights}
    assert len(rate_of) == len(list(student.parameters()))
    assert {rate_of[id(weight)] for weight in student.head()} == {10.0}
    network = student.network
    first, second = network.layer1[0].conv1.weight, network.layer2[0].conv1.weight
    last = network.layer4[-1].conv1.weight
    assert rate_of[id(last)] == 1.0
    assert rate_of[id(network.conv1[0].weight)] < rate_of[id(first)] < rate_of[id(second)] < 1.0
    assert rate_of[id(first)] == 0.5 * rate_of[id(second)]
    assert DiscriminativeOptions().decay == 0.8
    built = build(context(DiscriminativeOptions(), tmp_path, coloured_images(4), zoo[0]))
    backbone = sorted({group.rate for group in built.groups if group.rate <= 1})
    assert backbone == pytest.approx([0.8**place for place in range(len(backbone))][::-1])


def test_the_first_of_the_18_layers_of_a_mobilenet_learns_at_a_fiftieth_of_the_rate_of_the_last(tmp_path):
    """timm's fine layers, one a block: 0.8^17 is 0.0225."""
    mobilenet = describe_directory(write_timm_checkpoint(tmp_path / "mobilenet", "mobilenetv2_035", seed=1))
    student = context(DiscriminativeOptions(), tmp_path, coloured_images(4), mobilenet).open_student()
    found = {group.rate for group in layer_rates(student, 0.8)}
    assert sorted(found) == pytest.approx([0.8**place for place in range(17, -1, -1)] + [10.0])


def test_a_linear_probe_moves_its_head_alone(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(LinearProbeOptions(), tmp_path, images, zoo[0]))
    method.module.train()
    outcome = method.loss(batch(images))
    outcome.parts["task"].backward()
    assert all(weight.grad is None for _, weight in method.module.backbone())
    assert {id(weight) for weight in method.parameters()} == {id(weight) for weight in method.module.head()}
    torch.testing.assert_close(
        outcome.parts["task"], cross_entropy(method.module.eval()(batch(images).views), images.labels)
    )
