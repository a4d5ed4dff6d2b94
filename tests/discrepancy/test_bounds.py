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
    anisotropic_trajectory_bound,
    bootstrap_step,
    empirical_rademacher_complexity,
    empirical_rademacher_gap,
    intrinsic_dimension,
    linear_head_rademacher_bound,
    pac_bayes_gap,
    rademacher_gap,
    terminal_state_bound,
    trajectory_bound,
    vc_gap,
)
from frontrunner.discrepancy.errors import BoundUndefined, InvalidDiscrepancyInput, TooFewPoints
from frontrunner.statistics import FeatureStatistics

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
    assert "vacuous" in str(gap)
    assert "vacuous" not in str(Gap("VC", 0.3))


@given(st.integers(2, 60), st.integers(1, 60))
def test_the_growth_function_is_the_sum_of_binomials(n: int, d: int) -> None:
    growth = sum(comb(n, i) for i in range(min(d, n) + 1))
    want = sqrt(2 * log(growth) / n) + sqrt(log(1 / 0.1) / (2 * n))
    assert vc_gap(n, d, 0.1) == pytest.approx(want)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_a_linear_heads_rademacher_complexity_lies_between_khintchine_and_jensen(seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(40, 6))
    upper = linear_head_rademacher_bound(FeatureStatistics().update(features), weight_norm=3.0)
    measured = empirical_rademacher_complexity(features, weight_norm=3.0, draws=2000)
    assert upper / sqrt(2) * 0.95 <= measured <= upper * 1.02


def test_the_rademacher_gaps_are_their_formulas() -> None:
    assert rademacher_gap(0.1, 200, 0.05) == pytest.approx(0.2 + sqrt(log(20) / 400))
    assert empirical_rademacher_gap(0.1, 200, 0.05) == pytest.approx(0.2 + 3 * sqrt(log(40) / 400))
    for wrong in (-1.0, np.inf, np.nan):
        with pytest.raises(InvalidDiscrepancyInput):
            rademacher_gap(wrong, 200, 0.05)


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


def test_copied_rows_count_once_and_too_few_rows_are_refused() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 5))
    assert intrinsic_dimension(np.vstack([rows, rows[:20]])) == pytest.approx(intrinsic_dimension(rows))
    with pytest.raises(TooFewPoints):
        intrinsic_dimension(np.vstack([rows[:5]] * 10))
    with pytest.raises(TooFewPoints):
        intrinsic_dimension(np.eye(30))
    with pytest.raises(InvalidDiscrepancyInput):
        intrinsic_dimension(np.full((30, 2), np.nan))
