"""Facts about complexity, distances between tasks, and reachability."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import linregress

from frontrunner.discrepancy import (
    KramersModel,
    LowRankPlusDiagonal,
    complexity,
    effective_potential,
    fit_kramers,
    gibbs_complexity,
    head_complexity,
    head_discrepancy,
    task_distance,
    task_distances,
    task_union,
    transition_probability,
    unit_prior_scale,
)
from frontrunner.discrepancy.errors import (
    InvalidDiscrepancyInput,
    NotPositiveSemidefinite,
    TooFewPoints,
)
from frontrunner.errors import IncompatibleStatistics, NothingToSeparate
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics

seeds = st.integers(0, 2**32 - 1)
SHARES = np.linspace(0, 1, 6)


def task(seed: int, classes: int, n: int = 60, d: int = 5) -> FeatureStatistics:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = generator.normal(size=(n, d)) + generator.normal(size=(classes, d))[labels]
    return FeatureStatistics().update(features, labels=labels)


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(0.05, 5), st.floats(0.2, 3))
def test_the_complexity_is_the_least_loss_plus_beta_kl_over_gaussians(seed: int, beta: float, scale: float) -> None:
    """So the standard Fisher enters without the paper's 2: a numerical minimum over means and variances agrees."""
    h = float(np.exp(np.random.default_rng(seed).normal()))
    minimum = 1.7

    def objective(parameters: np.ndarray) -> float:
        mean, log_variance = parameters
        variance = math.exp(log_variance)
        loss = 0.5 * h * ((mean - minimum) ** 2 + variance)
        kl = 0.5 * ((mean**2 + variance) / scale**2 - 1 - math.log(variance / scale**2))
        return loss + beta * kl

    best = minimize(objective, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    w = h * minimum / (h + beta / scale**2)
    found = complexity(0.5 * h * (w - minimum) ** 2, w**2, [h], beta=beta, prior_scale=scale)
    assert found == pytest.approx(best.fun, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(seeds, st.floats(0.01, 1), st.floats(0.1, 2))
def test_the_heads_complexity_is_the_formula_at_the_ridge_solution(seed: int, beta: float, scale: float) -> None:
    found = task(seed, 3)
    weights = np.linalg.solve(found.gram + beta / scale**2 * np.eye(5), found.cross)
    loss = 0.5 * float(
        found.target_square_sum.sum() - 2 * np.vdot(weights, found.cross) + np.vdot(weights, found.gram @ weights)
    )
    fisher = np.kron(np.eye(3), found.gram)
    want = complexity(loss, float(np.vdot(weights, weights)), fisher, beta=beta, prior_scale=scale)
    assert head_complexity(found, beta=beta, prior_scale=scale) == pytest.approx(want, rel=1e-9)


def test_complexity_at_logmes_own_precisions_is_the_negative_log_evidence() -> None:
    """One column, L = beta/2 |y - Fw|^2, lambda^2 = 1/alpha, weight 1: C = -n log p(y|F) + n/2 log(beta/2 pi)."""
    generator = np.random.default_rng(0)
    found = FeatureStatistics().update(generator.normal(size=(40, 5)), targets=generator.normal(size=40))
    evidence = maximise_evidence(decompose(moments_of(found)))
    beta, alpha = evidence.beta.item(), evidence.alpha.item()
    found_complexity = head_complexity(found, beta=1 / beta, prior_scale=alpha**-0.5) * beta
    want = -40 * evidence.score + 20 * math.log(beta / (2 * math.pi))
    assert found_complexity == pytest.approx(want, rel=1e-8)


def test_every_form_of_a_fisher_gives_one_complexity() -> None:
    generator = np.random.default_rng(1)
    low = LowRankPlusDiagonal(np.exp(generator.normal(size=6)), generator.normal(size=(6, 2)))
    values = [complexity(0.0, 0.0, f, beta=0.3, prior_scale=2.0) for f in (low, low.matrix())]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    diagonal = low.diagonal
    values = [complexity(0.0, 0.0, f, beta=0.3, prior_scale=2.0) for f in (diagonal, np.diag(diagonal))]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    with pytest.raises(NotPositiveSemidefinite):
        complexity(0.0, 0.0, [[1.0, 9.0], [9.0, 1.0]], beta=0.3, prior_scale=2.0)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 4), st.integers(2, 4))
def test_distances_are_not_negative_and_their_asymmetry_is_the_difference_of_complexities(
    seed: int, one: int, two: int
) -> None:
    found = task_distances({"a": task(seed, one), "b": task(seed + 1, two), "c": task(seed + 2, 2)})
    assert (found.distance >= 0).all()
    assert (np.diag(found.distance) == 0).all()
    np.testing.assert_allclose(
        found.distance - found.distance.T, found.complexity[None, :] - found.complexity[:, None], rtol=1e-6, atol=1e-8
    )


def test_a_distance_is_what_the_union_of_statistics_adds() -> None:
    first, second = task(0, 3), task(1, 2)
    scale = unit_prior_scale(first, second)
    union = task_union(first, second)
    assert union.n == 120
    assert union.cross.shape == (5, 5)
    want = head_complexity(union, prior_scale=scale) - head_complexity(first, prior_scale=scale)
    assert task_distance(first, second, prior_scale=scale) == pytest.approx(want, rel=1e-9)
    matrix = task_distances({"first": first, "second": second})
    assert matrix.distance[0, 1] == pytest.approx(want, rel=1e-9)


def test_a_squared_losss_complexity_follows_one_minus_the_square_of_the_clean_share() -> None:
    """So it is not linear in the share of random labels: R^2 of a line is 0.92. The 0-1 loss is."""
    quadratic = 1 - (1 - SHARES) ** 2
    assert np.corrcoef(SHARES, quadratic)[0, 1] ** 2 == pytest.approx(0.9214, abs=1e-4)
    generator = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    features = generator.normal(size=(4000, 20)) + labels[:, None]
    values = []
    for share in SHARES:
        noisy = np.where(generator.random(4000) < share, generator.integers(2, size=4000), labels)
        values.append(head_complexity(FeatureStatistics().update(features, labels=noisy), prior_scale=1.0))
    assert np.corrcoef(quadratic, values)[0, 1] ** 2 > 0.998


def test_the_gibbs_complexity_rises_in_a_straight_line_with_the_share_of_random_labels() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(1500) % 4
    features = generator.normal(size=(1500, 20)) + 1.5 * generator.normal(size=(4, 20))[labels]
    values = []
    for share in SHARES:
        noisy = np.where(generator.random(1500) < share, generator.integers(4, size=1500), labels)
        values.append(gibbs_complexity(features, noisy))
    assert np.corrcoef(SHARES, values)[0, 1] ** 2 > 0.98


def test_the_gibbs_complexity_of_labels_without_any_signal_is_the_error_of_guessing() -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(1000, 3)), np.arange(1000) % 2
    assert gibbs_complexity(features, labels) == pytest.approx(500, rel=0.05)
    with pytest.raises(InvalidDiscrepancyInput):
        gibbs_complexity(features, labels, beta=-1.0)


@pytest.mark.parametrize("beta", [0.05, 3.0])
def test_the_gibbs_complexity_is_its_definition_with_heads_drawn_from_the_posterior(beta: float) -> None:
    """Brute force: 20,000 whole heads for the errors, torch's KL of the weights' Gaussians for the information."""
    generator = np.random.default_rng(3)
    labels = np.arange(60) % 3
    features = generator.normal(size=(60, 4)) + 0.7 * np.eye(3, 4)[labels]
    found = FeatureStatistics().update(features, labels=labels)
    evidence = maximise_evidence(decompose(moments_of(found)))
    outputs, kl = np.empty((20_000, 60, 3)), 0.0
    normal = torch.distributions.MultivariateNormal
    for column, (alpha, precision) in enumerate(zip(evidence.alpha, evidence.beta, strict=True)):
        covariance = np.linalg.inv(alpha * np.eye(4) + precision * found.gram)
        mean = precision * covariance @ found.cross[:, column]
        heads = generator.multivariate_normal(mean, covariance, size=20_000)
        outputs[:, :, column] = heads @ features.T
        posterior = normal(torch.as_tensor(mean), torch.as_tensor(covariance))
        prior = normal(torch.zeros(4).double(), torch.eye(4).double() / alpha)
        kl += float(torch.distributions.kl_divergence(posterior, prior))
    errors = float((outputs.argmax(axis=2) != labels).mean()) * 60
    # 3,000 draws know each example's error to 0.5 / sqrt(3000), so their sum to 0.07.
    assert gibbs_complexity(features, labels, beta=beta, draws=3000) == pytest.approx(errors + beta * kl, abs=0.3)


def test_the_gibbs_complexity_counts_the_errors_of_every_row_beyond_the_first_block() -> None:
    """Two classes told apart exactly, and 100 of the last rows labelled wrongly: 100 errors by every drawn head."""
    labels = np.repeat([0, 1], 1100)
    features = 100.0 * np.eye(2)[labels] + 0.01 * np.random.default_rng(0).normal(size=(2200, 2))
    labels[-100:] = 0
    found = FeatureStatistics().update(features, labels=labels)
    kl = head_discrepancy(found).twice_kl / 2
    assert gibbs_complexity(features, labels, beta=1.0) == pytest.approx(100 + kl, rel=1e-9)
    noisy = np.random.default_rng(1).normal(size=(40, 2)) + 0.5 * np.eye(2)[np.arange(40) % 2]
    default, explicit = (gibbs_complexity(noisy, np.arange(40) % 2, **k) for k in ({}, {"draws": 32, "seed": 0}))
    assert default == explicit
    for beta, draws in ((0.0, 1), (np.inf, 1), (np.nan, 1), (1.0, 0)):
        with pytest.raises(InvalidDiscrepancyInput):
            gibbs_complexity(features, labels, beta=beta, draws=draws)


def test_the_prior_scale_is_the_root_of_n_over_all_squares_of_all_tasks() -> None:
    one = FeatureStatistics().update([[3.0, 4.0], [0.0, 0.0]])
    two = FeatureStatistics().update([[0.0, 12.0]])
    assert unit_prior_scale(one, two) == pytest.approx(math.sqrt(3 / 169))
    for nothing in (FeatureStatistics(), FeatureStatistics().update([[0.0]])):
        with pytest.raises(NothingToSeparate):
            unit_prior_scale(nothing)


def test_complexity_by_hand_and_beta_is_a_twentieth_by_default() -> None:
    """L = 2, |w|^2 = 8, H = diag(3, 15), lambda = 2, beta = 4: t = 1, so log det is log 4 + log 16."""
    want = 2 + 2 * (8 / 4 + math.log(4) + math.log(16))
    assert complexity(2.0, 8.0, [3.0, 15.0], beta=4.0, prior_scale=2.0) == pytest.approx(want)
    assert head_complexity(task(0, 3), prior_scale=1.5) == head_complexity(task(0, 3), beta=0.05, prior_scale=1.5)
    assert task_distance(task(0, 3), task(1, 2), prior_scale=1.5) == task_distance(
        task(0, 3), task(1, 2), beta=0.05, prior_scale=1.5
    )
    tasks = {"a": task(0, 3), "b": task(1, 2)}
    assert (task_distances(tasks).beta, task_distances(tasks).prior_scale) == (0.05, unit_prior_scale(*tasks.values()))
    assert task_distances(tasks, beta=0.3, prior_scale=0.7).prior_scale == 0.7
    for beta, scale in ((0.0, 1.0), (np.inf, 1.0), (1.0, 0.0), (1.0, np.inf)):
        with pytest.raises(InvalidDiscrepancyInput):
            complexity(0.0, 0.0, [1.0], beta=beta, prior_scale=scale)


def test_a_class_that_was_left_out_again_adds_nothing_and_features_alone_are_no_task() -> None:
    kept = FeatureStatistics().update(np.eye(4)[:2], labels=[0, 1])
    left = FeatureStatistics().update(np.eye(4)[2:], labels=[2, 2])
    assert head_complexity(kept + left - left, prior_scale=1.0) == pytest.approx(head_complexity(kept, prior_scale=1.0))
    with pytest.raises(NothingToSeparate):
        head_complexity(FeatureStatistics().update(np.eye(4)), prior_scale=1.0)
    # Two examples of one feature, apart: t = 1, each column leaves 1/2 (1 - 1/2), and log det is 4 log 2 a column.
    assert head_complexity(FeatureStatistics().update(np.eye(2), labels=[0, 1]), beta=1.0, prior_scale=1.0) == (
        pytest.approx(2 * 0.25 + 0.5 * 2 * 2 * math.log(2))
    )


def test_a_beta_lost_in_rounding_beside_the_features_is_refused() -> None:
    huge = FeatureStatistics().update([[1e10, 1e10]] * 4, labels=[0, 1, 0, 1])
    with pytest.raises(InvalidDiscrepancyInput, match="raise beta"):
        head_complexity(huge, beta=1e-12, prior_scale=1.0)


def test_tasks_that_cannot_be_compared_are_refused_by_name() -> None:
    with pytest.raises(TooFewPoints):
        task_distances({"a": task(0, 2)})
    with pytest.raises(IncompatibleStatistics):
        task_distances({"a": task(0, 2), "b": task(0, 2, d=7)})
    with pytest.raises(NothingToSeparate):
        task_distances({"a": task(0, 2), "b": FeatureStatistics()})
    with pytest.raises(InvalidDiscrepancyInput):
        head_complexity(task(0, 2), beta=0.0, prior_scale=1.0)
    with pytest.raises(IncompatibleStatistics):
        task_union(task(0, 2), FeatureStatistics().update(np.eye(5), targets=np.ones(5)))


@given(st.floats(0.1, 50), st.floats(0.01, 10), seeds)
def test_kramers_constants_are_found_again_from_exact_times(c: float, k: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = KramersModel(c, k)
    rates, batches = generator.uniform(0.01, 0.1, 8), generator.integers(8, 64, 8)
    barriers = generator.uniform(0, 2, 8) * k * rates / batches
    times = [truth.time(*run) for run in zip(barriers, rates, batches, strict=True)]
    found = fit_kramers(barriers, rates, batches, times)
    assert (found.c, found.k) == (pytest.approx(c, rel=1e-6), pytest.approx(k, rel=1e-6))
    assert found.r_squared == pytest.approx(1.0)


def test_kramers_constants_and_errors_are_those_of_an_ordinary_regression_of_log_times() -> None:
    generator = np.random.default_rng(5)
    rates, batches = generator.uniform(0.01, 0.1, 7), generator.integers(8, 64, 7)
    barriers = generator.uniform(0, 0.01, 7)
    times = np.exp(1.5 + 0.8 * barriers * batches / rates + 0.3 * generator.normal(size=7))
    found = fit_kramers(barriers, rates, batches, times)
    want = linregress(barriers * batches / rates, np.log(times))
    assert found.k == pytest.approx(1 / want.slope)
    assert found.c == pytest.approx(math.exp(-want.intercept))
    assert found.r_squared == pytest.approx(want.rvalue**2)
    # scipy's error of the slope is the residual deviation, with n - 2 degrees of freedom, over the spread of x.
    spread = math.sqrt(7 * np.var(barriers * batches / rates))
    assert found.residual == pytest.approx(want.stderr * spread)
    assert found.runs == 7


def test_kramers_time_by_hand() -> None:
    model = KramersModel(c=4.0, k=6.0)
    assert model.diffusion(0.5, 10) == pytest.approx(0.3)
    assert model.rate(0.6, 0.5, 10) == pytest.approx(4 * math.exp(-2))
    assert model.time(0.6, 0.5, 10) == pytest.approx(math.exp(2) / 4)
    assert math.isnan(model.r_squared)
    assert math.isnan(model.residual)
    assert model.runs == 0


@pytest.mark.parametrize(
    "runs",
    [
        ([1.0, 2.0], [0.1, 0.1], [8, 8], [1.0, 2.0]),
        ([[1.0, 2.0, 3.0]], [0.1] * 3, [8] * 3, [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.1] * 2, [8] * 3, [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.0, 0.1, 0.1], [8] * 3, [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.1] * 3, [0, 8, 8], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.1] * 3, [8] * 3, [0.0, 2.0, 3.0]),
        ([1.0, 2.0, np.nan], [0.1] * 3, [8] * 3, [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [0.1] * 3, [8] * 3, [2.0, 2.0, 2.0]),
    ],
)
def test_runs_that_fix_no_constants_are_refused(runs) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidDiscrepancyInput):
        fit_kramers(*runs)


def test_a_fit_without_a_slope_is_refused_and_a_barrier_lengthens_the_time() -> None:
    with pytest.raises(TooFewPoints):
        fit_kramers([1.0, 1.0, 1.0], [0.1] * 3, [8] * 3, [1.0, 2.0, 3.0])
    with pytest.raises(InvalidDiscrepancyInput):
        fit_kramers([1.0, 2.0, 3.0], [0.1] * 3, [8] * 3, [3.0, 2.0, 1.0])
    model = KramersModel(1.0, 1.0)
    assert model.time(0.1, 0.1, 8) > model.time(0.05, 0.1, 8) > model.time(0.05, 0.1, 4)
    assert model.time(1e6, 0.1, 8) == math.inf
    assert transition_probability(-3.0, 0.1) == 1.0
    assert transition_probability(0.3, 0.1) == pytest.approx(math.exp(-1.5))
    with pytest.raises(InvalidDiscrepancyInput):
        transition_probability(1.0, 0.0)


def test_the_effective_potential_raises_sharp_minima_and_ignores_flat_and_negative_directions() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    hessian = (basis * [4.0, 2.0, 0.0, -1.0]) @ basis.T
    assert effective_potential(1.0, hessian, 0.5) == pytest.approx(1.0 + 0.5 * math.log(8.0))
    assert effective_potential(1.0, [4.0, 2.0, 0.0, -1.0], 0.5) == pytest.approx(1.0 + 0.5 * math.log(8.0))
    for diffusion in (0.0, np.inf, np.nan):
        with pytest.raises(InvalidDiscrepancyInput):
            effective_potential(1.0, [1.0], diffusion)
    for wrong in ([[1.0, 2.0], [0.0, 1.0]], [np.nan]):
        with pytest.raises(InvalidDiscrepancyInput):
            effective_potential(1.0, wrong, 0.5)
    with pytest.raises(InvalidDiscrepancyInput):
        effective_potential(math.nan, [1.0], 0.5)
    assert effective_potential(1.0, [1.0, 1e-17], 0.5) == 1.0
    assert effective_potential(1.0, [1.0, 1e-12], 0.5) == pytest.approx(1.0 + 0.5 * math.log(1e-12))
