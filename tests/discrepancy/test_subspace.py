"""Facts about curvature in a random subspace, against full Jacobians of small networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner.discrepancy import SGDNoise, compare, stationary_covariance, subspace_discrepancy, tuned_discrepancy
from frontrunner.discrepancy.curvature import Curvature
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, SubspaceTooLarge, TooFewPoints
from frontrunner.discrepancy.subspace import (
    ClassifierHead,
    GaussianHead,
    RandomSubspace,
    measure_curvature,
    projected_shift,
)
from frontrunner.statistics import Floats

N, WIDTH, CLASSES, D = 12, 5, 3, 7


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, WIDTH)).train()


@pytest.fixture
def examples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 4, generator=generator), torch.arange(N) % CLASSES


@pytest.fixture
def gaussian() -> GaussianHead:
    generator = np.random.default_rng(2)
    return GaussianHead(generator.normal(size=(WIDTH, CLASSES)), [0.5, 1.0, 2.0])


def jacobians(network: nn.Module, inputs: torch.Tensor) -> Floats:
    """(n, WIDTH, D) of features by v at v = 0, through the expanded parameters themselves."""
    network.eval()
    named = dict(network.named_parameters())
    subspace = RandomSubspace(list(named.values()), D, seed=0)
    columns = []
    for j in range(D):
        direction = dict(zip(named, subspace.expand(torch.eye(D)[j]), strict=True))

        def features(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.func.functional_call(network, parameters, (inputs,))

        columns.append(torch.func.jvp(features, (named,), (direction,))[1].detach().numpy())
    network.train()
    return np.stack(columns, axis=2).astype(np.float64)


def test_the_directions_are_orthonormal_and_fixed_by_the_seed() -> None:
    tensors = [torch.zeros(30, 3), torch.zeros(17)]
    subspace = RandomSubspace(tensors, 11, seed=5)
    matrix = np.array([subspace.project(subspace.expand(row)) for row in torch.eye(11)])
    np.testing.assert_allclose(matrix, np.eye(11), atol=1e-6)
    again, other = RandomSubspace(tensors, 11, seed=5), RandomSubspace(tensors, 11, seed=6)
    gradient = [torch.randn(30, 3), torch.randn(17)]
    np.testing.assert_array_equal(subspace.project(gradient), again.project(gradient))
    assert not np.allclose(subspace.project(gradient), other.project(gradient))
    signs = torch.cat([piece.reshape(-1) for piece in subspace.expand(torch.ones(11))]).sign()
    assert 0.3 < float((signs > 0).float().mean()) < 0.7
    assert (subspace.project([gradient[0], None]) == subspace.project([gradient[0], torch.zeros(17)])).all()


def test_projection_is_the_transpose_of_expansion() -> None:
    subspace = RandomSubspace([torch.zeros(50)], 6)
    gradient, v = torch.randn(50), torch.randn(6)
    assert float(subspace.expand(v)[0] @ gradient) == pytest.approx(
        float(v.numpy() @ subspace.project([gradient])), rel=1e-4
    )


def test_all_outputs_give_the_gauss_newton_matrix_of_the_full_jacobian(network, examples, gaussian) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = examples
    _, found = measure_curvature(network, [(inputs, labels)], source=None, target=gaussian, dimension=D, draws=None)
    assert found is not None
    jacobian = jacobians(network, inputs)
    weights, precision = gaussian.weights.numpy().astype(np.float64), gaussian.precision.numpy()
    outputs = np.einsum("dc,ndv->ncv", weights, jacobian)
    want = np.einsum("ncv,c,ncw->vw", outputs, precision, outputs) / N
    np.testing.assert_allclose(found.fisher, want, rtol=1e-4, atol=1e-5)

    features = network.eval()(inputs).detach().numpy()
    errors = features @ weights - np.eye(CLASSES)[labels.numpy()]
    gradients = np.einsum("nc,c,ncv->nv", errors, precision, outputs)
    np.testing.assert_allclose(found.gradients, gradients, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.noise_covariance, np.cov(gradients.T, bias=True), rtol=1e-3, atol=1e-4)


def of_all_labels(network: nn.Module, inputs: torch.Tensor) -> tuple[nn.Linear, Curvature]:
    """A seeded classifier and the curvature that it gives without draws."""
    torch.manual_seed(3)
    classifier = nn.Linear(WIDTH, CLASSES)
    source, _ = measure_curvature(
        network, [(inputs, None)], source=ClassifierHead(classifier), target=None, dimension=D, draws=None
    )
    assert source is not None
    return classifier, source


def test_all_labels_give_the_classifiers_exact_fisher(network, examples) -> None:  # type: ignore[no-untyped-def]
    inputs, _ = examples
    classifier, source = of_all_labels(network, inputs)
    outputs = np.einsum("cd,ndv->ncv", classifier.weight.detach().numpy(), jacobians(network, inputs))
    p = classifier(network.eval()(inputs)).softmax(1).detach().numpy()
    hessian = np.einsum("nc,ce->nce", p, np.eye(CLASSES)) - np.einsum("nc,ne->nce", p, p)
    want = np.einsum("ncv,nce,new->vw", outputs, hessian, outputs) / N
    np.testing.assert_allclose(source.fisher, want, rtol=1e-4, atol=1e-6)


def per_label_gradients(network: nn.Module, inputs: torch.Tensor, classifier: nn.Linear) -> tuple[Floats, Floats]:
    """Brute force: (n, C, D) gradients of the cross-entropy at every label, and (n, C) probabilities."""
    outputs = np.einsum("cd,ndv->ncv", classifier.weight.detach().numpy(), jacobians(network, inputs))
    p = classifier(network.eval()(inputs)).softmax(1).detach().numpy().astype(np.float64)
    network.train()
    errors = p[:, None, :] - np.eye(CLASSES)
    return np.einsum("nlc,ncv->nlv", errors, outputs), p


def test_without_draws_the_sources_noise_is_that_of_all_labels_weighted_by_their_probability(  # type: ignore[no-untyped-def]
    network, examples
) -> None:
    inputs, _ = examples
    classifier, source = of_all_labels(network, inputs)
    gradients, p = per_label_gradients(network, inputs, classifier)
    mean = np.einsum("nl,nlv->v", p, gradients) / N
    np.testing.assert_allclose(mean, 0.0, atol=1e-6)
    want = np.einsum("nl,nlv,nlw->vw", p, gradients - mean, gradients - mean) / N
    np.testing.assert_allclose(source.noise_covariance, want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(source.gradient, np.zeros(D))
    assert source.dimension == D


def test_drawn_labels_give_one_gradient_each_at_its_own_scale(network, examples) -> None:  # type: ignore[no-untyped-def]
    """Each of the 5 gradients of an example is that of some label: none is scaled by the number of draws."""
    inputs, _ = examples
    torch.manual_seed(3)
    classifier = nn.Linear(WIDTH, CLASSES)
    source, _ = measure_curvature(
        network, [(inputs, None)], source=ClassifierHead(classifier), target=None, dimension=D, draws=5
    )
    assert source is not None
    assert source.gradients is not None
    assert source.gradients.shape == (5 * N, D)
    possible, _ = per_label_gradients(network, inputs, classifier)
    for index, gradient in enumerate(source.gradients):
        assert np.abs(possible[index // 5] - gradient).max(axis=1).min() < 1e-4
    np.testing.assert_allclose(source.gradient, source.gradients.mean(axis=0))
    np.testing.assert_allclose(source.noise_covariance, np.cov(source.gradients.T, bias=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(source.fisher, source.gradients.T @ source.gradients / (5 * N), rtol=1e-9, atol=1e-12)


def test_many_drawn_labels_come_to_the_expectation_over_all_of_them(network, examples) -> None:  # type: ignore[no-untyped-def]
    inputs = examples[0][:2]
    torch.manual_seed(3)
    classifier = nn.Linear(WIDTH, CLASSES)
    source, _ = measure_curvature(
        network, [(inputs, None)], source=ClassifierHead(classifier), target=None, dimension=D, draws=800
    )
    assert source is not None
    gradients, p = per_label_gradients(network, inputs, classifier)
    want = np.einsum("nl,nlv,nlw->vw", p, gradients, gradients) / 2
    for found in (source.fisher, source.noise_covariance):
        assert np.linalg.norm(found - want) < 0.12 * np.linalg.norm(want)


def test_one_draw_of_seed_zero_in_256_directions_is_the_default(network, examples, gaussian) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = examples
    wide = nn.Sequential(nn.Flatten(), nn.Linear(4, 80), nn.Tanh(), nn.Linear(80, WIDTH))
    _, found = measure_curvature(wide, [(inputs, labels)], source=None, target=gaussian)
    _, again = measure_curvature(wide, [(inputs, labels)], source=None, target=gaussian, dimension=256, draws=1, seed=0)
    assert found is not None
    assert again is not None
    assert found.fisher_rows.shape == (N, 256)
    np.testing.assert_array_equal(found.fisher_rows, again.fisher_rows)


def test_real_targets_have_gradients_of_their_own_residuals(gaussian) -> None:  # type: ignore[no-untyped-def]
    features, target = torch.randn(WIDTH), torch.tensor([0.5, -1.0, 2.0])
    weights, precision = gaussian.weights.numpy(), gaussian.precision.numpy()
    want = -weights @ (precision * (target.numpy() - weights.T @ features.numpy()))
    np.testing.assert_allclose(gaussian.gradient_row(features, target).numpy(), want, rtol=1e-4)
    with pytest.raises(InvalidDiscrepancyInput):
        GaussianHead(np.eye(2), [1.0])
    with pytest.raises(InvalidDiscrepancyInput):
        GaussianHead(np.ones(2), [1.0])


def test_a_classifiers_gradient_is_that_of_its_cross_entropy() -> None:
    torch.manual_seed(4)
    classifier, features = nn.Linear(WIDTH, CLASSES), torch.randn(WIDTH)
    p = classifier(features).softmax(0).detach().numpy()
    want = classifier.weight.detach().numpy().T @ (p - np.eye(CLASSES)[2])
    found = ClassifierHead(classifier).gradient_row(features, torch.tensor(2))
    np.testing.assert_allclose(found.numpy(), want, rtol=1e-4, atol=1e-6)


def test_drawn_rows_have_the_fisher_for_their_mean(network, examples, gaussian) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = examples
    torch.manual_seed(3)
    classifier = ClassifierHead(nn.Linear(WIDTH, CLASSES))
    batches = [(inputs, labels)]
    exact = measure_curvature(network, batches, source=classifier, target=gaussian, dimension=D, draws=None)
    drawn = measure_curvature(network, batches, source=classifier, target=gaussian, dimension=D, draws=100)
    for a, b in zip(exact, drawn, strict=True):
        assert a is not None
        assert b is not None
        assert np.linalg.norm(a.fisher - b.fisher) < 0.15 * np.linalg.norm(a.fisher)


def test_batches_and_modes_change_nothing_and_are_put_back(network, examples, gaussian) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = examples
    first = next(network.parameters())
    first.requires_grad_(False)
    running = network[2].running_mean.clone()
    whole = measure_curvature(network, [(inputs, labels)], source=None, target=gaussian, dimension=D)[1]
    parts = measure_curvature(
        network, [(inputs[:5], labels[:5]), (inputs[5:], labels[5:])], source=None, target=gaussian, dimension=D
    )[1]
    assert whole is not None
    assert parts is not None
    np.testing.assert_array_equal(whole.fisher_rows, parts.fisher_rows)
    assert network.training
    assert not first.requires_grad
    assert torch.equal(running, network[2].running_mean)
    assert all(p.grad is None for p in network.parameters())


def curvature(seed: int, n: int = 40, d: int = 6) -> Curvature:
    generator = np.random.default_rng(seed)
    return Curvature(n, generator.normal(size=(n, d)), generator.normal(size=(n, d)) + 0.3)


def test_the_report_is_made_of_a_damped_newton_step_and_two_stationary_covariances() -> None:
    source, target = curvature(0), curvature(1)
    found = subspace_discrepancy(source, target, noise=SGDNoise("empirical", 0.1, 8), damping=0.05, n=500)
    ridge = 0.05 * (np.trace(source.fisher) + np.trace(target.fisher)) / 12
    sides = []
    for side in (source, target):
        noise = side.noise_covariance + 0.05 * np.trace(side.noise_covariance) / 6 * np.eye(6)
        sides.append(stationary_covariance(side.fisher + ridge * np.eye(6), noise, learning_rate=0.1, batch_size=8))
    step = -np.linalg.solve(target.fisher + ridge * np.eye(6), target.gradient)
    want = compare(*sides, step)
    assert found.twice_kl == pytest.approx(want.twice_kl, rel=1e-9)
    assert (found.space, found.dimension, found.n, found.noise_model) == ("subspace", 6, 500, "empirical")
    tuned = tuned_discrepancy(source, target, step, noise=SGDNoise("empirical", 0.1, 8), damping=0.05, n=500)
    assert tuned.space == "tuned"
    assert tuned.twice_kl == pytest.approx(found.twice_kl)


@pytest.mark.parametrize("noise", ["empirical", "isotropic", "fisher"])
def test_every_noise_model_is_its_definition(noise: str) -> None:
    """All terms from numpy alone: S A + A S = eta/|B| C by a Kronecker product, and the KL by slogdet."""
    source, target, shift = curvature(0), curvature(1), np.arange(6.0)
    identity = np.eye(6)
    ridge = 0.2 * (np.trace(source.fisher) + np.trace(target.fisher)) / 12 * identity
    sides = []
    for side in (source, target):
        assert side.gradients is not None
        covariance = np.cov(side.gradients.T, bias=True)
        level, a = np.trace(covariance) / 6, side.fisher_rows.T @ side.fisher_rows / 40 + ridge
        c = {"empirical": covariance + 0.2 * level * identity, "isotropic": level * identity, "fisher": a}[noise]
        lyapunov = np.kron(a, identity) + np.kron(identity, a)
        sides.append(np.linalg.solve(lyapunov, (0.3 / 4 * c).ravel()).reshape(6, 6))
    m = np.linalg.solve(*sides)
    moved = shift @ np.linalg.solve(sides[0], shift)
    log_det, trace = np.linalg.slogdet(m)[1], np.trace(m)
    found = tuned_discrepancy(source, target, shift, noise=SGDNoise(noise, 0.3, 4), damping=0.2, n=700, delta=0.1)  # type: ignore[arg-type]
    assert found.twice_kl == pytest.approx(trace - 6 + moved - log_det, rel=1e-9)
    assert found.discrepancy == pytest.approx(log_det + trace - 6 + moved, rel=1e-9)
    gap = np.sqrt((found.twice_kl + 2 * np.log(10) + 2 * np.log(700) + 4) / (4 * 700 - 2))
    assert found.pac_bayes_gap == pytest.approx(gap, rel=1e-9)
    fisher = target.fisher_rows.T @ target.fisher_rows / 40
    assert found.effective_parameters == pytest.approx(np.trace(np.linalg.solve(fisher + ridge, fisher)), rel=1e-9)
    assert (found.n, found.delta, found.noise_model, found.reference) == (700, 0.1, noise, "source")
    assert found.gap_kind == "estimate"


def test_a_hundredth_of_the_mean_curvature_damps_and_the_targets_n_counts_by_default() -> None:
    source, target, shift = curvature(0, n=50), curvature(1), np.ones(6)
    noise = SGDNoise("empirical", learning_rate=0.01, batch_size=32)
    for found, explicit in (
        (
            subspace_discrepancy(source, target),
            subspace_discrepancy(source, target, noise=noise, damping=0.01, n=40, delta=0.05),
        ),
        (
            tuned_discrepancy(source, target, shift),
            tuned_discrepancy(source, target, shift, noise=noise, damping=0.01, n=40, delta=0.05),
        ),
    ):
        assert found == explicit
        assert found.gap_kind == "estimate"
    for damping in (0.0, -1.0, np.inf):
        with pytest.raises(InvalidDiscrepancyInput):
            subspace_discrepancy(source, target, damping=damping)


def test_a_subspaces_divergence_is_below_that_of_more_directions() -> None:
    """The first directions are a part of the whole: a KL of marginals is at most the KL, so its gap is no bound."""
    gradients = [np.random.default_rng(seed).normal(size=(400, 12)) * np.arange(1, 13) for seed in (0, 1)]
    shift = np.full(12, 0.01)
    values = []
    for d in (3, 6, 12):
        sides = [Curvature(400, rows[:, :d], rows[:, :d]) for rows in gradients]
        values.append(tuned_discrepancy(sides[0], sides[1], shift[:d]).pac_bayes_gap)
    assert values[0] < values[1] < values[2]


def test_fisher_noise_leaves_only_the_shift_and_a_model_is_at_no_distance_from_itself() -> None:
    one = curvature(0)
    shift = np.arange(6.0)
    found = tuned_discrepancy(one, curvature(1), shift, noise=SGDNoise("fisher", 0.1, 8))
    assert found.twice_kl == pytest.approx(float(shift @ shift) * 2 * 8 / 0.1)
    for noise in ("empirical", "isotropic", "fisher"):
        assert tuned_discrepancy(one, one, np.zeros(6), noise=SGDNoise(noise)).twice_kl == pytest.approx(0, abs=1e-9)


def test_fewer_examples_than_dimensions_still_give_a_finite_report() -> None:
    found = subspace_discrepancy(curvature(0, n=20, d=64), curvature(1, n=20, d=64))
    assert np.isfinite(found.twice_kl)
    assert 0 < found.effective_parameters < 20


def test_the_shift_of_tuned_weights_is_found_again_in_the_subspace() -> None:
    before = [torch.randn(20, 5), torch.randn(30)]
    subspace = RandomSubspace(before, 9)
    v = torch.randn(9)
    after = [b + step for b, step in zip(before, subspace.expand(v), strict=True)]
    np.testing.assert_allclose(projected_shift(before, after, dimension=9), v.numpy(), atol=1e-5)
    with pytest.raises(InvalidDiscrepancyInput):
        projected_shift(before, before[:1])


def test_what_cannot_be_measured_is_refused_by_name(network, examples, gaussian) -> None:  # type: ignore[no-untyped-def]
    inputs, labels = examples
    with pytest.raises(SubspaceTooLarge):
        measure_curvature(network, [(inputs, labels)], source=None, target=gaussian, dimension=10_000)
    for n in (0, 1):
        with pytest.raises(TooFewPoints):
            measure_curvature(network, [(inputs[:n], labels[:n])], source=None, target=gaussian, dimension=D)
    measure_curvature(network, [(inputs[:2], labels[:2])], source=None, target=gaussian, dimension=D)
    for dimension in (0, 16_385):
        with pytest.raises(SubspaceTooLarge):
            RandomSubspace([torch.zeros(20_000)], dimension)
    assert RandomSubspace([torch.zeros(20_000)], 16_384).dimension == 16_384
    assert RandomSubspace([torch.zeros(5)], 5).dimension == 5
    with pytest.raises(InvalidDiscrepancyInput):
        measure_curvature(nn.Conv1d(4, 2, 1), [(inputs[:, :, None], labels)], source=None, target=gaussian, dimension=D)
    with pytest.raises(InvalidDiscrepancyInput):
        measure_curvature(network, [(inputs, None)], source=None, target=gaussian, dimension=D)
    with pytest.raises(InvalidDiscrepancyInput):
        subspace_discrepancy(curvature(0), curvature(1, d=5))
    for n, rows, gradients in (
        (0, np.eye(2), np.eye(2)),
        (2, np.ones(2), np.eye(2)),
        (2, np.eye(2), np.ones((3, 2))),
        (2, np.eye(2), np.ones((2, 3))),
        (2, np.eye(2), np.ones((0, 2))),
        (2, np.full((2, 2), np.nan), np.eye(2)),
        (2, np.eye(2), np.full((2, 2), np.inf)),
    ):
        with pytest.raises(InvalidDiscrepancyInput):
            Curvature(n, rows, gradients)
    zero = Curvature(3, np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(InvalidDiscrepancyInput):
        subspace_discrepancy(zero, zero)
