"""Facts about the methods that hold a student back: penalties against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from frontrunner.errors import StudentUnsupported
from frontrunner.hub import describe_directory
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.anchors import Anchors
from frontrunner.tuning.methods.bss import smallest_squared_singular_values
from frontrunner.tuning.methods.delta import feature_maps
from frontrunner.tuning.methods.discriminative import layer_rates
from frontrunner.tuning.methods.ewc import diagonal_fisher
from frontrunner.tuning.options import (
    BSSOptions,
    DeltaOptions,
    EWCOptions,
    L2SPOptions,
    LinearProbeOptions,
    LwFOptions,
)
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


def test_lwf_is_content_while_the_old_answers_stand(tmp_path, zoo):
    images = coloured_images(6)
    method = build(context(LwFOptions(strength=1.0), tmp_path, images, zoo[0]))
    method.module.eval()
    assert float(method.loss(batch(images)).parts["old"].detach()) == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        method.module.old.weight.mul_(-20)
    assert float(method.loss(batch(images)).parts["old"].detach()) > 0.01
    assert set(method.models()) == {"model"}


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
