"""Agreement of orders and regret, against sums over all pairs and all choices."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from frontrunner.evidence import EvidenceError, NothingToOrder, kendall_tau, regret, weighted_tau


def tau_over_pairs(x, y, weight):
    """Sum of w_ij sign(x_i - x_j) sign(y_i - y_j), over the root of the same sums of each order with itself."""

    def product(a, b):
        return sum(
            weight(i, j) * np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in combinations(range(len(a)), 2)
        )

    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


def hyperbolic(order):
    """Weights of pairs by the ranks of an order from the best down, 1/(r + 1) + 1/(s + 1)."""
    rank = {int(index): place for place, index in enumerate(order)}
    return lambda i, j: 1 / (rank[i] + 1) + 1 / (rank[j] + 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tied", [False, True])
def test_weighted_tau_is_the_mean_over_both_rankings_of_the_sum_over_pairs(seed, tied):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, 9)) if not tied else generator.integers(0, 4, size=(2, 9)).astype(float)
    by_x = np.lexsort((y, x))[::-1]
    by_y = np.lexsort((x, y))[::-1]
    expected = np.mean([tau_over_pairs(x, y, hyperbolic(order)) for order in (by_x, by_y)])
    assert weighted_tau(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_kendall_tau_is_the_sum_over_pairs_with_equal_weights(seed):
    x, y = np.random.default_rng(seed).integers(0, 5, size=(2, 10))
    assert kendall_tau(x, y) == pytest.approx(tau_over_pairs(x, y, lambda i, j: 1.0), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("top", [1, 2, 3, 7, 9])
def test_regret_is_the_mean_over_all_ways_to_break_ties(seed, top):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 3, size=7), generator.uniform(size=7)
    lost = []
    for order in permutations(range(7)):
        ranked = sorted(order, key=lambda i: -x[i])
        lost.append(y.max() - max(y[i] for i in ranked[:top]))
    assert regret(x, y, top) == pytest.approx(np.mean(lost), abs=1e-12)


def test_the_order_of_the_rows_changes_nothing():
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, 4, size=20), generator.integers(0, 6, size=20)
    shuffled = generator.permutation(20)
    for of in (weighted_tau, kendall_tau, regret):
        assert of(x, y) == pytest.approx(of(x[shuffled], y[shuffled]), abs=1e-12)


def test_a_prediction_that_says_nothing_has_no_agreement():
    assert weighted_tau([1, 1, 1], [0.1, 0.2, 0.3]) == 0.0
    assert kendall_tau([1, 1, 1], [0.1, 0.2, 0.3]) == 0.0


@pytest.mark.parametrize("measured", [[], [0.5], [0.5, 0.5]])
def test_results_without_an_order_are_refused(measured):
    with pytest.raises(NothingToOrder):
        weighted_tau(np.arange(len(measured)), measured)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([1, np.nan], [1, 2]), ([[1, 2]], [[1, 2]])])
def test_what_cannot_be_compared_is_refused(x, y):
    for of in (weighted_tau, kendall_tau, regret):
        with pytest.raises(EvidenceError):
            of(x, y)


def test_regret_needs_a_checkpoint_and_a_pick():
    with pytest.raises(EvidenceError, match="at least one"):
        regret([], [])
    with pytest.raises(EvidenceError, match="top"):
        regret([1, 2], [1, 2], top=0)
