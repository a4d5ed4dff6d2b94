"""Constants, limits and rarely taken branches of the discrepancy, against numpy or the formula written out."""

from __future__ import annotations

import inspect
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner.discrepancy import (
    Curvature,
    LowRankPlusDiagonal,
    SGDNoise,
    StepMoments,
    anisotropic_trajectory_bound,
    bootstrap_step,
    compare,
    complexity,
    effective_potential,
    empirical_rademacher_complexity,
    fit_kramers,
    generalisation_report,
    gibbs_complexity,
    head_complexity,
    head_discrepancy,
    intrinsic_dimension,
    pac_bayes_gap,
    risk_bound,
    stationary_covariance,
    subspace_discrepancy,
    task_distance,
    task_distances,
    terminal_state_bound,
    tuned_discrepancy,
    vc_gap,
)
from frontrunner.discrepancy import risk as risk_module
from frontrunner.discrepancy import subspace as subspace_module
from frontrunner.discrepancy.errors import (
    InvalidDiscrepancyInput,
    NoStationaryDistribution,
    NotPositiveSemidefinite,
    SingularCovariance,
    TooFewPoints,
)
from frontrunner.discrepancy.subspace import GaussianHead, RandomSubspace, measure_curvature, projected_shift
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.registry import shard_of
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics, Floats

EPS = 2.0**-52


def with_block(d: int, block: Floats) -> Floats:
    """The identity of d dimensions with a (2, 2) block in its first two."""
    matrix = np.eye(d)
    matrix[:2, :2] = block
    return matrix


def test_asymmetry_is_refused_from_a_millionth_of_the_largest_entry_on() -> None:
    for asymmetry in (0.0, 0.9e-6):
        assert compare(np.eye(2), [[1.0, asymmetry], [0.0, 1.0]], np.zeros(2)).trace == pytest.approx(2.0)
    for asymmetry in (1.1e-6, 1.9e-6):
        with pytest.raises(NotPositiveSemidefinite, match="not symmetric"):
            compare(np.eye(2), [[1.0, asymmetry], [0.0, 1.0]], np.zeros(2))


def test_a_matrix_that_is_not_square_is_told_the_shapes_that_a_covariance_may_have() -> None:
    for wrong in (np.ones((2, 3)), -np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 2, 2)), np.float64(1.0)):
        with pytest.raises(InvalidDiscrepancyInput, match=r"must have shape \(d,\) or \(d, d\)"):
            compare(wrong, np.ones(2), np.zeros(2))
    for wrong in (np.ones((2, 3)), np.ones((2, 2, 2))):
        with pytest.raises(InvalidDiscrepancyInput, match=r"must have shape \(d, d\)"):
            effective_potential(1.0, wrong, 0.5)


def test_one_dimension_is_enough_in_every_form() -> None:
    """S_PT 2, S_FT 6, theta 4: M = 3."""
    forms = [[[2.0]], [2.0], LowRankPlusDiagonal([1.0], [[1.0]])]
    for pt in forms:
        terms = compare(pt, [6.0], [4.0])
        assert (terms.dimension, terms.trace, terms.mahalanobis) == (1, pytest.approx(3), pytest.approx(8))
        assert terms.log_det == pytest.approx(log(3))
        still = compare(pt, [[0.0]], [4.0])
        assert (still.trace, still.log_det, still.mahalanobis) == (0.0, -np.inf, pytest.approx(8))


def test_a_reference_is_singular_below_a_reciprocal_condition_of_d_times_the_rounding_unit() -> None:
    """In the 1-norm, which numpy computes from the inverse: 50 times 2.2e-16 is 1.11e-14."""
    d = 50
    for below, singular in ((1.6e-14, True), (2.8e-14, False)):
        matrix = with_block(d, np.array([[1.0, below - 1], [below - 1, 1.0]]))
        assert (1 / np.linalg.cond(matrix, 1) < d * EPS) == singular
        if singular:
            with pytest.raises(SingularCovariance, match="no inverse"):
                compare(matrix, np.eye(d), np.zeros(d))
        else:
            # The inverse of the block has 1 / ((1 - r) (1 + r)) twice on its diagonal.
            assert compare(matrix, np.eye(d), np.zeros(d)).trace == pytest.approx(1 / below, rel=0.05)


def test_a_hessian_is_flat_within_d_rounding_units_of_its_largest_eigenvalue() -> None:
    for lowest, largest in ((1.6 * EPS, 1.0), (1.6e3 * EPS, 1e3)):
        with pytest.raises(NoStationaryDistribution):
            stationary_covariance([largest, lowest], [1.0, 1.0], learning_rate=0.1, batch_size=1)
        found = stationary_covariance(
            hessian=[largest, 1.5 * lowest], noise_covariance=[1.0, 1.0], learning_rate=0.2, batch_size=1
        )
        np.testing.assert_allclose(found, [0.1 / largest, 0.1 / (1.5 * lowest)])
    for flat in ([0.0, 0.0], np.zeros((2, 2))):
        with pytest.raises(NoStationaryDistribution):
            stationary_covariance(flat, [1.0, 1.0], learning_rate=0.1, batch_size=1)


def test_noise_may_be_negative_within_d_rounding_units_of_its_largest_column() -> None:
    """Determinants of the block: -2 times `below`, so that its smaller eigenvalue is `-below`; the largest sum is 2."""
    d = 20
    for below, refused in ((0.8 * 2 * d * EPS, False), (1.5 * 2 * d * EPS, True)):
        noise = with_block(d, np.array([[1.0, 1.0], [1.0, 1.0 - 2 * below]]))
        if refused:
            with pytest.raises(NotPositiveSemidefinite, match="negative eigenvalue"):
                stationary_covariance(np.ones(d), noise, learning_rate=0.2, batch_size=1)
        else:
            found = stationary_covariance(np.ones(d), noise, learning_rate=0.2, batch_size=1)
            np.testing.assert_allclose(found, 0.1 * noise)


def test_a_reference_without_any_spread_is_singular_beside_every_form() -> None:
    thin = LowRankPlusDiagonal([1.0, 1.0], [[1.0], [0.0]])
    for ft in (thin, np.eye(2), np.ones(2)):
        with pytest.raises(SingularCovariance, match="zero in 2 of 2 directions"):
            compare(np.zeros(2), ft, np.zeros(2))
    still = compare(thin, np.zeros(2), [2.0, 3.0])
    assert (still.trace, still.log_det, still.mahalanobis) == (0.0, -np.inf, pytest.approx(4 / 2 + 9))


def test_gaps_of_one_example_and_of_roots_near_zero_are_their_formulas() -> None:
    confidence = 2 * log(1 / 0.9) + 4
    assert pac_bayes_gap(1.0, 1, 0.9) == pytest.approx(sqrt((1 + confidence) / 2))
    assert pac_bayes_gap(0.25 - confidence, 1, 0.9) == pytest.approx(sqrt(0.25 / 2))
    assert vc_gap(1, 1, 0.9) == pytest.approx(sqrt(2 * log(2)) + sqrt(log(1 / 0.9) / 2))


def test_a_bound_whose_sides_agree_but_for_rounding_is_zero_and_one_example_is_enough() -> None:
    assert anisotropic_trajectory_bound([StepMoments(2, np.diag([1.0, 4.0]), log(4.0) + 1e-12)], n=100) == 0.0
    spread = StepMoments(2, np.diag([1.0, 4.0]), log(2.0))
    assert anisotropic_trajectory_bound([spread], n=1) == pytest.approx(0.5 * sqrt(log(2)))
    with pytest.raises(TooFewPoints):
        terminal_state_bound(np.zeros((2, 0)), np.zeros((2, 0)), 5)
    with pytest.raises(InvalidDiscrepancyInput, match="expected weights"):
        terminal_state_bound(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), 5)


def test_a_direction_is_flat_beside_the_largest_curvature_and_not_beside_one() -> None:
    assert effective_potential(1.0, [1e-20, 1e-20], 0.5) == pytest.approx(1 + log(1e-20))
    assert effective_potential(1.0, [0.0, 0.0], 0.5) == 1.0
    # Of two directions the rounding is 2 times 2.2e-16 of the largest.
    assert effective_potential(1.0, [1.0, 1.6 * EPS], 0.5) == 1.0
    assert effective_potential(1.0, [1.0, 2.4 * EPS], 0.5) == pytest.approx(1 + 0.5 * log(2.4 * EPS))


def test_no_runs_and_runs_of_one_time_fix_no_constants() -> None:
    with pytest.raises(TooFewPoints, match="got 0"):
        fit_kramers([], [], [], [])
    with pytest.raises(InvalidDiscrepancyInput, match="times fall"):
        fit_kramers([1.0, 2.0, 3.0], [0.1] * 3, [8] * 3, [1.0, 1.0, 1.0])


def test_neighbours_are_sought_among_at_most_5000_rows() -> None:
    assert inspect.signature(intrinsic_dimension).parameters["points"].default == 5000


def heads(n: int, d: int, seed: int, unit: float = 1.0) -> tuple[Floats, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return unit * (generator.normal(size=(n, d)) + np.eye(3, d)[labels]), labels


@pytest.mark.parametrize("dead", [0, 4])
def test_with_empirical_noise_the_source_counts_in_the_span_of_the_targets_features_alone(dead: int) -> None:
    """The source moves in all 10 directions, the target reaches 10 - dead: V its basis, P = V' S_PT V by numpy."""
    rate, batch = 0.05, 16
    features, labels = heads(90, 10 - dead, 0)
    rotation = np.linalg.qr(np.random.default_rng(9).normal(size=(10, 10)))[0]
    target = FeatureStatistics().update(features @ rotation[: 10 - dead], labels=labels)
    source = FeatureStatistics().update(*(heads(200, 10, 1)[:1]), labels=heads(200, 10, 1)[1])
    origin, evidence = (maximise_evidence(decompose(moments_of(one))) for one in (source, target))
    basis = rotation[: 10 - dead].T

    signal = origin.beta.mean() * source.gram / 200
    curvature = signal + origin.alpha.mean() / 200 * np.eye(10)
    pt = basis.T @ (rate / (2 * batch) * signal @ np.linalg.inv(curvature)) @ basis
    expected = 0.0
    gram = basis.T @ target.gram @ basis
    for column, t in enumerate(evidence.alpha / evidence.beta):
        inverse = np.linalg.inv(gram + t * np.eye(10 - dead))
        ratio = np.linalg.solve(pt, rate / (2 * batch) * gram @ inverse)
        mean = inverse @ basis.T @ target.cross[:, column]
        expected += np.trace(ratio) - np.linalg.slogdet(ratio)[1] - (10 - dead) + mean @ np.linalg.solve(pt, mean)
    found = head_discrepancy(target, source, noise=SGDNoise("empirical", rate, batch))
    assert found.dimension == 3 * (10 - dead)
    assert found.twice_kl == pytest.approx(expected, rel=1e-6)


def test_features_in_any_unit_have_the_same_rank_and_the_same_divergence() -> None:
    noise = SGDNoise("empirical")
    plain = FeatureStatistics().update(*heads(90, 5, 2)[:1], labels=heads(90, 5, 2)[1])
    tiny = FeatureStatistics().update(*heads(90, 5, 2, unit=1e-9)[:1], labels=heads(90, 5, 2)[1])
    for source in (False, True):
        one, other = (head_discrepancy(s, s if source else None, noise=noise) for s in (plain, tiny))
        assert one.dimension == other.dimension == 15
        assert head_discrepancy(tiny).twice_kl == pytest.approx(head_discrepancy(plain).twice_kl, rel=1e-6)


def test_all_rows_are_predicted_where_there_are_as_many_as_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk_module, "LARGEST_SAMPLE", 6)
    asked = dict[int, list[int]]()
    for n in (11, 12, 13):
        features, labels = heads(n, 12, 3)
        shard = shard_of(features, labels)
        data = ScoringInput(shard.statistics(), [shard])
        sizes = asked[n] = []

        def rows_of(size: int, rows: Any = data.rows, sizes: list[int] = sizes) -> object:
            sizes.append(size)
            return rows(size)

        monkeypatch.setattr(data, "rows", rows_of)
        risk_module.leave_one_out_risk(data)
    assert {n: sizes[0] for n, sizes in asked.items()} == {11: 11, 12: 12, 13: 6}


SIDE = Curvature(6, np.arange(12.0).reshape(6, 2) % 5, np.arange(12.0).reshape(6, 2) % 7)
TASK = FeatureStatistics().update(np.eye(4), labels=[0, 0, 1, 1])
ROWS = np.random.default_rng(4).normal(size=(12, 3))


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (bootstrap_step, {"gradients": ROWS, "batch_size": 2}),
        (complexity, {"loss": 1.0, "squared_norm": 2.0, "fisher": [3.0], "beta": 1.0, "prior_scale": 1.0}),
        (empirical_rademacher_complexity, {"features": ROWS, "weight_norm": 2.0}),
        (generalisation_report, {"n": 50, "parameters": 5}),
        (gibbs_complexity, {"features": ROWS, "labels": np.arange(12) % 2}),
        (head_complexity, {"statistics": TASK, "prior_scale": 1.0}),
        (head_discrepancy, {"statistics": TASK, "source": TASK}),
        (intrinsic_dimension, {"features": ROWS, "k": 3}),
        (projected_shift, {"before": [torch.zeros(6)], "after": [torch.ones(6)], "dimension": 3}),
        (risk_bound, {"features": ROWS, "labels": np.arange(12) % 2, "source": None}),
        (subspace_discrepancy, {"source": SIDE, "target": SIDE}),
        (task_distance, {"start": TASK, "goal": TASK, "prior_scale": 1.0}),
        (task_distances, {"tasks": {"a": TASK, "b": TASK}}),
        (tuned_discrepancy, {"source": SIDE, "tuned": SIDE, "shift": [1.0, 2.0]}),
    ],
)
def test_arguments_may_be_named_or_come_in_order(function: Any, named: dict[str, Any]) -> None:
    kinds = [inspect.signature(function).parameters[name].kind for name in named]
    ordered = [value for value, kind in zip(named.values(), kinds, strict=True) if kind.name != "KEYWORD_ONLY"]
    rest = {key: value for (key, value), kind in zip(named.items(), kinds, strict=True) if kind.name == "KEYWORD_ONLY"}
    assert repr(function(**named)) == repr(function(*ordered, **rest))


def test_one_drawn_head_is_enough_for_the_gibbs_complexity() -> None:
    labels = np.repeat([0, 1], 6)
    apart = 100 * np.eye(2)[labels] + 0.01 * ROWS[:, :2]
    kl = head_discrepancy(FeatureStatistics().update(apart, labels=labels)).twice_kl / 2
    assert gibbs_complexity(apart, labels, beta=2.0, draws=1) == pytest.approx(2 * kl)


def test_spread_within_rounding_of_its_largest_is_no_spread() -> None:
    """Of two directions: 2 times 2.2e-16. The bound is then that of a singular spread, 0."""
    for smallest, expected in ((1.6 * EPS, 0.0), (2.4 * EPS, 0.5 * sqrt((100 + log(2.4 * EPS)) / 50))):
        step = StepMoments(2, np.diag([1.0, smallest]), -100.0)
        assert anisotropic_trajectory_bound([step], n=50) == pytest.approx(expected)


def test_directions_of_many_blocks_are_orthonormal_and_each_block_is_dealt_evenly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subspace_module, "_BLOCK", 8)
    subspace = RandomSubspace([torch.zeros(5, 3), torch.zeros(6)], 4)
    columns = [torch.cat([piece.flatten() for piece in subspace.expand(row)]).numpy() for row in torch.eye(4)]
    np.testing.assert_allclose(np.array(columns) @ np.array(columns).T, np.eye(4), atol=1e-6)
    assert [[int((column[s : s + 8] != 0).sum()) for column in columns] for s in (0, 8)] == [[2] * 4] * 2
    assert sum(int((column[16:] != 0).sum()) for column in columns) == 5
    gradient = torch.randn(21, generator=torch.Generator().manual_seed(0))
    found = subspace.project([gradient[:15].reshape(5, 3), gradient[15:]])
    np.testing.assert_allclose(found, np.array(columns) @ gradient.numpy(), rtol=1e-4, atol=1e-5)


def test_labels_are_drawn_from_the_seed_after_that_of_the_directions_and_unused_weights_are_inert() -> None:
    """Of a linear map W x the gradient of r'W x is r x': projected, row by row, with signs drawn in order."""
    torch.manual_seed(0)
    backbone = nn.Linear(3, 2, bias=False)
    backbone.register_parameter("unused", nn.Parameter(torch.zeros(4)))
    inputs, labels = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    head = GaussianHead([[1.0, 2.0], [3.0, 5.0]], [1.0, 4.0])
    _, found = measure_curvature(
        backbone=backbone, batches=[(inputs, labels)], source=None, target=head, dimension=5, seed=7
    )
    assert found is not None
    subspace = RandomSubspace(list(backbone.parameters()), 5, seed=7)
    by_shape = {parameter.shape: index for index, parameter in enumerate(backbone.parameters())}
    generator = torch.Generator().manual_seed(8)
    for example, row in zip(inputs, found.fisher_rows, strict=True):
        signs = torch.randint(0, 2, (1, 2), generator=generator).float()[0] * 2 - 1
        # sqrt(beta_c) m_c of both outputs with these signs.
        drawn = signs[0] * torch.tensor([1.0, 3.0]) + signs[1] * 2 * torch.tensor([2.0, 5.0])
        gradients: list[torch.Tensor | None] = [None, None]
        gradients[by_shape[torch.Size([2, 3])]] = torch.outer(drawn, example)
        np.testing.assert_allclose(row, subspace.project(gradients), rtol=1e-4, atol=1e-5)
