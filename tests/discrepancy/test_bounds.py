"""Facts about the generalisation gaps, the SDE bounds and the intrinsic dimension."""

from __future__ import annotations

import json
from math import comb, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontrunner.discrepancy import (
    Gap,
    StepMoments,
    anisotropic_trajectory_bound,
    bootstrap_step,
    intrinsic_dimension,
    pac_bayes_gap,
    terminal_state_bound,
    trajectory_bound,
    vc_gap,
)
from frontrunner.discrepancy.errors import (
    BoundUndefined,
    InvalidDiscrepancyInput,
    NotPositiveSemidefinite,
    TooFewPoints,
)

ORACLES = Path(__file__).parents[1] / "oracles"
EXPECTED = json.loads((ORACLES / "expected.json").read_text())
seeds = st.integers(0, 2**32 - 1)


@given(st.floats(0, 1e6), st.integers(1, 10**7), st.floats(0.001, 0.5))
def test_the_pac_bayes_gap_is_its_formula_and_falls_with_n(d: float, n: int, delta: float) -> None:
    want = sqrt((d + 2 * log(1 / delta) + 2 * log(n) + 4) / (4 * n - 2))
    assert pac_bayes_gap(d, n, delta) == pytest.approx(want)
    assert pac_bayes_gap(d, 2 * n, delta) < pac_bayes_gap(d, n, delta)


def test_a_discrepancy_too_negative_for_a_root_is_an_error_and_an_infinite_one_a_vacuous_gap() -> None:
    with pytest.raises(BoundUndefined):
        pac_bayes_gap(-1000.0, 500, 0.05)
    assert Gap("PAC-Bayes", pac_bayes_gap(np.inf, 500, 0.05)).vacuous
    for n, delta in ((0, 0.1), (5, 0.0), (5, 1.0)):
        with pytest.raises(InvalidDiscrepancyInput):
            pac_bayes_gap(1.0, n, delta)
    with pytest.raises(InvalidDiscrepancyInput):
        pac_bayes_gap(np.nan, 5, 0.1)


def test_the_published_vc_example_is_vacuous_at_about_1_185() -> None:
    gap = Gap("VC", vc_gap(50_000, 4_400_000, 0.01))
    assert gap.value == pytest.approx(1.185, abs=0.002)
    assert gap.vacuous
    assert str(gap) == "VC gap <= 1.184 (vacuous)"
    assert str(Gap("VC", 0.3)) == "VC gap <= 0.3"
    assert str(Gap("VC", 0.3, "estimate")) == "VC gap about 0.3"
    assert not Gap("VC", 1.0).vacuous
    assert Gap("VC", np.nan).vacuous
    for wrong in ((50, 0, 0.05), (0, 5, 0.05), (50, 5, 1.0)):
        with pytest.raises(InvalidDiscrepancyInput):
            vc_gap(*wrong)


@given(st.integers(2, 60), st.integers(1, 60))
def test_the_growth_function_is_the_sum_of_binomials(n: int, d: int) -> None:
    growth = sum(comb(n, i) for i in range(min(d, n) + 1))
    want = sqrt(2 * log(growth) / n) + sqrt(log(1 / 0.1) / (2 * n))
    assert vc_gap(n, d, 0.1) == pytest.approx(want)


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(1e-3, 1e3))
def test_the_trajectory_bounds_are_ordered_and_free_of_the_gradients_scale(seed: int, scale: float) -> None:
    gradients = np.random.default_rng(seed).normal(size=(60, 4)) * [1, 2, 5, 9]
    steps = [bootstrap_step(gradients, batch_size=8, seed=s) for s in range(3)]
    bound = trajectory_bound(steps, n=60)
    assert 0 <= anisotropic_trajectory_bound(steps, n=60) <= bound < np.inf
    scaled = [bootstrap_step(gradients * scale, batch_size=8, seed=s) for s in range(3)]
    assert trajectory_bound(scaled, n=60) == pytest.approx(bound, rel=1e-6)
    assert trajectory_bound(steps, n=240) == pytest.approx(bound / 2)


def test_a_steps_moments_are_those_of_independent_resamples() -> None:
    """Another generator and numpy's own covariance; of six gradients the deviation is a third of the sum."""
    generator = np.random.default_rng(7)
    rows, batch_size = generator.normal(size=(6, 2)) * [1.0, 3.0] + 5.0, 3
    found = bootstrap_step(rows, batch_size, resamples=8000)
    covariance = np.cov(rows.T, bias=True)
    # Of a resample the covariance is (1 - 1/n) of the sample's in expectation, the mean varies with 1/n of it.
    want = covariance * ((1 - 1 / 6) / batch_size + 1 / 6)
    np.testing.assert_allclose(found.deviation_and_noise, want, rtol=0.05)
    assert found.dimension == 2

    many = generator.normal(size=(30, 2)) * [1.0, 3.0]
    drawn = [np.cov(many[generator.integers(30, size=30)].T, bias=True) / batch_size for _ in range(2000)]
    want_log_det = np.mean([np.linalg.slogdet(one)[1] for one in drawn])
    assert bootstrap_step(many, batch_size, resamples=2000).noise_log_det == pytest.approx(want_log_det, abs=0.05)


def test_moments_come_from_twenty_resamples_of_seed_zero_unless_asked_otherwise() -> None:
    rows = np.random.default_rng(8).normal(size=(30, 2))
    default, explicit = bootstrap_step(rows, 4), bootstrap_step(rows, 4, resamples=20, seed=0)
    np.testing.assert_array_equal(default.deviation_and_noise, explicit.deviation_and_noise)
    assert default.noise_log_det == explicit.noise_log_det
    for wrong in (
        {"batch_size": 0},
        {"batch_size": 4, "resamples": 1},
    ):
        with pytest.raises(InvalidDiscrepancyInput):
            bootstrap_step(rows, **wrong)
    for gradients in (rows[0], rows[:1], rows[:, :0], np.full((4, 2), np.nan)):
        with pytest.raises(InvalidDiscrepancyInput):
            bootstrap_step(gradients, 4)
    assert bootstrap_step(rows[:2, :1], 1, resamples=2).dimension == 1


def test_the_trajectory_bounds_are_their_formulas_summed_over_steps() -> None:
    """Two steps in d = 2: traces 5 and 9, determinants 4 and 20.25 less 2.25, E log det C of log 3 and log 10."""
    steps = [
        StepMoments(2, np.diag([1.0, 4.0]), log(3.0)),
        StepMoments(2, np.array([[4.5, 1.5], [1.5, 4.5]]), log(10.0)),
    ]
    isotropic = 2 * log(5 / 2) - log(3) + 2 * log(9 / 2) - log(10)
    anisotropic = log(4) - log(3) + log(18) - log(10)
    assert trajectory_bound(steps, n=50) == pytest.approx(0.5 * sqrt(isotropic / 50))
    assert anisotropic_trajectory_bound(steps, n=50) == pytest.approx(0.5 * sqrt(anisotropic / 50))
    assert trajectory_bound(steps, n=50, subgaussian=2.0) == pytest.approx(2 * sqrt(isotropic / 50))
    assert anisotropic_trajectory_bound(steps, n=50, subgaussian=2.0) == pytest.approx(2 * sqrt(anisotropic / 50))
    for n, subgaussian in ((0, 0.5), (5, 0.0), (5, -1.0), (5, np.inf)):
        with pytest.raises(InvalidDiscrepancyInput):
            trajectory_bound(steps, n, subgaussian)
    with pytest.raises(InvalidDiscrepancyInput):
        trajectory_bound([*steps, StepMoments(3, np.eye(3), 0.0)], n=50)


def test_rounding_is_no_noise_and_the_smallest_real_noise_is() -> None:
    assert bootstrap_step([[0.0, 1.0], [0.0, -1.0], [0.0, 2.0]], 1).noise_log_det == -np.inf
    tiny = bootstrap_step(np.random.default_rng(0).normal(size=(40, 2)) * [1.0, 1e-6], 1)
    assert tiny.noise_log_det == pytest.approx(2 * log(1e-6), abs=1.0)


def test_fewer_gradients_than_dimensions_make_the_trajectory_bound_infinite() -> None:
    step = bootstrap_step(np.random.default_rng(0).normal(size=(5, 20)), batch_size=2)
    assert trajectory_bound([step], n=5) == np.inf
    still = bootstrap_step(np.zeros((5, 2)), batch_size=2)
    assert anisotropic_trajectory_bound([still], n=5) == np.inf


def test_the_terminal_state_bound_is_its_formula_in_one_dimension() -> None:
    w, s, n = np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]), 50
    want = 0.5 * sqrt((log(1 + 2) - (log(1) + log(3)) / 2) / n)
    assert terminal_state_bound(w, s, n) == pytest.approx(want)
    assert terminal_state_bound(w, s[:, :, None], n) == pytest.approx(want)
    assert terminal_state_bound(w, np.zeros((2, 1)), n) == np.inf


def test_the_terminal_state_bound_is_its_formula_in_two_dimensions() -> None:
    """Weights (0, 0) and (2, 4): squared deviation 1 + 4 from the mean; traces 5 and 9; determinants 4 and 18."""
    w = np.array([[0.0, 0.0], [2.0, 4.0]])
    s = np.array([[[1.0, 0.0], [0.0, 4.0]], [[4.5, 1.5], [1.5, 4.5]]])
    want = sqrt((2 * log((5 + 7) / 2) - (log(4) + log(18)) / 2) / 80)
    assert terminal_state_bound(w, s, 80) == pytest.approx(0.5 * want)
    assert terminal_state_bound(w, s, 80, subgaussian=3.0) == pytest.approx(3 * want)
    diagonal = np.array([[1.0, 4.0], [2.0, 9.0]])
    want = sqrt((2 * log((5 + 8) / 2) - (log(4) + log(18)) / 2) / 80)
    assert terminal_state_bound(w, diagonal, 80) == pytest.approx(0.5 * want)
    with pytest.raises(NotPositiveSemidefinite):
        terminal_state_bound(w, diagonal * [1.0, -1.0], 80)
    for wrong in ((w, diagonal, 0), (w, diagonal[:1], 80), (w[0], diagonal, 80), (w * np.nan, diagonal, 80)):
        with pytest.raises(InvalidDiscrepancyInput):
            terminal_state_bound(*wrong)
    with pytest.raises(InvalidDiscrepancyInput):
        terminal_state_bound(w, diagonal * np.nan, 80)


@pytest.mark.parametrize(
    "call", [lambda: trajectory_bound([], 5), lambda: terminal_state_bound(np.zeros((0, 2)), np.zeros((0, 2)), 5)]
)
def test_a_bound_of_nothing_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TooFewPoints):
        call()


@pytest.mark.parametrize("name", [name for name, values in EXPECTED.items() if "intrinsic_dimension_k10" in values])
def test_the_intrinsic_dimensions_oracles_are_reached_to_1e_9(name: str) -> None:
    path = ORACLES / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not among the oracles")
    with np.load(path) as arrays:
        found = intrinsic_dimension(arrays["features"], k=10)
    assert found == pytest.approx(EXPECTED[name]["intrinsic_dimension_k10"], rel=1e-9)


def test_a_plane_in_many_dimensions_has_two() -> None:
    generator = np.random.default_rng(0)
    plane = generator.uniform(size=(1500, 2)) @ generator.normal(size=(2, 40))
    assert intrinsic_dimension(plane) == pytest.approx(2.0, rel=0.06)
    assert intrinsic_dimension(7 * plane + 100) == pytest.approx(intrinsic_dimension(plane), rel=1e-6)


def test_the_intrinsic_dimension_is_its_formula_by_hand() -> None:
    """0, 1, 3, 7 and 12.5 on a line with k = 3: distances of each point to its three nearest, in ascending order."""
    nearest = [(1, 3, 7), (1, 2, 6), (2, 3, 4), (4, 5.5, 6), (5.5, 9.5, 11.5)]
    inverse = np.mean([(log(c / a) + log(c / b)) / 2 for a, b, c in nearest])
    points = np.array([[0.0], [1.0], [3.0], [7.0], [12.5]])
    assert intrinsic_dimension(points, k=3) == pytest.approx(1 / inverse, rel=1e-12)
    assert intrinsic_dimension(points[:4], k=3) > 0
    with pytest.raises(TooFewPoints):
        intrinsic_dimension(points[:3], k=3)
    with pytest.raises(InvalidDiscrepancyInput):
        intrinsic_dimension(points, k=2)
    for wrong in (points[:, 0], points[:, :0], points.astype(str)):
        with pytest.raises(InvalidDiscrepancyInput):
            intrinsic_dimension(wrong, k=3)


def test_more_rows_than_points_are_sampled_by_the_seed_and_ten_neighbours_are_the_default() -> None:
    rows = np.random.default_rng(3).normal(size=(120, 3))
    assert intrinsic_dimension(rows) == intrinsic_dimension(rows, k=10, points=120)
    assert intrinsic_dimension(rows, points=119) != intrinsic_dimension(rows)
    sampled = intrinsic_dimension(rows, points=60, seed=1)
    assert sampled == intrinsic_dimension(rows, points=60, seed=1) != intrinsic_dimension(rows, points=60, seed=2)
    assert intrinsic_dimension(rows, points=60) == intrinsic_dimension(rows, points=60, seed=0)


def test_copied_rows_count_once_and_too_few_rows_are_refused() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 5))
    assert intrinsic_dimension(np.vstack([rows, rows[:20]])) == pytest.approx(intrinsic_dimension(rows))
    with pytest.raises(TooFewPoints):
        intrinsic_dimension(np.vstack([rows[:5]] * 10))
    with pytest.raises(TooFewPoints):
        intrinsic_dimension(np.eye(30))
    with pytest.raises(InvalidDiscrepancyInput):
        intrinsic_dimension(np.full((30, 2), np.nan))
