"""Facts about the Rademacher complexities of linear heads and the margin bound on their test error."""

from __future__ import annotations

from itertools import pairwise, product
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from frontrunner.discrepancy import (
    HeadMargins,
    MarginRisk,
    empirical_rademacher_complexity,
    empirical_rademacher_gap,
    linear_head_rademacher_bound,
    margin_gap,
    margin_risk_bound,
    rademacher_gap,
)
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput
from frontrunner.statistics import FeatureStatistics, Floats

seeds = st.integers(0, 2**32 - 1)


def problem(seed: int, n: int = 300, d: int = 4, classes: int = 3, offset: float = 1.0) -> tuple[Floats, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return generator.normal(size=(n, d)) + offset * np.eye(classes, d)[labels], labels


def bound(features: Floats, labels: np.ndarray, weights: Floats, biases: Floats | None = None) -> MarginRisk:
    return margin_risk_bound(HeadMargins.of(features, labels, weights, biases))


def test_the_rademacher_gaps_are_their_formulas() -> None:
    assert rademacher_gap(0.1, 200, 0.05) == pytest.approx(0.2 + sqrt(log(20) / 400))
    assert empirical_rademacher_gap(0.1, 200, 0.05) == pytest.approx(0.2 + 3 * sqrt(log(40) / 400))
    for wrong in (-1.0, np.inf, np.nan):
        with pytest.raises(InvalidDiscrepancyInput):
            rademacher_gap(wrong, 200, 0.05)
        with pytest.raises(InvalidDiscrepancyInput):
            empirical_rademacher_gap(wrong, 200, 0.05)


def test_a_linear_heads_complexity_bound_is_norm_times_the_root_of_all_squares_over_n() -> None:
    features = np.array([[3.0, 4.0], [0.0, 12.0]])  # norms 5 and 12, whose squares sum to 13^2
    assert linear_head_rademacher_bound(FeatureStatistics().update(features), 2.0) == pytest.approx(2 * 13 / 2)
    with pytest.raises(InvalidDiscrepancyInput):
        linear_head_rademacher_bound(FeatureStatistics(), 2.0)


def test_the_empirical_complexity_is_the_mean_over_all_signs() -> None:
    features = np.random.default_rng(0).normal(size=(6, 2))
    signs = np.array(list(product((-1.0, 1.0), repeat=6)))
    exact = 3.0 * np.linalg.norm(signs @ features, axis=1).mean() / 6
    assert empirical_rademacher_complexity(features, 3.0, draws=40_000) == pytest.approx(exact, rel=0.01)
    default, explicit = (empirical_rademacher_complexity(features, 3.0, **k) for k in ({}, {"draws": 256, "seed": 0}))
    assert default == explicit
    assert empirical_rademacher_complexity(features[:1], 3.0, draws=1) == pytest.approx(3 * np.linalg.norm(features[0]))
    for wrong in ((features[0], 3.0, 5), (features[:0], 3.0, 5), (features, 3.0, 0), (features, -1.0, 5)):
        with pytest.raises(InvalidDiscrepancyInput):
            empirical_rademacher_complexity(wrong[0], wrong[1], draws=wrong[2])


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_a_linear_heads_rademacher_complexity_lies_between_khintchine_and_jensen(seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(40, 6))
    upper = linear_head_rademacher_bound(FeatureStatistics().update(features), weight_norm=3.0)
    measured = empirical_rademacher_complexity(features, weight_norm=3.0, draws=2000)
    assert upper / sqrt(2) * 0.95 <= measured <= upper * 1.02


def test_the_margin_gap_is_two_c_over_rho_times_the_complexity_and_the_empirical_confidence() -> None:
    found = margin_gap(0.02, classes=5, margin=0.25, n=400, delta=0.1)
    assert found == pytest.approx(2 * 5 / 0.25 * 0.02 + 3 * sqrt(log(20) / 800))
    for classes, margin in ((1, 1.0), (2, 0.0), (2, np.inf), (2, np.nan)):
        with pytest.raises(InvalidDiscrepancyInput):
            margin_gap(0.02, classes, margin, n=400, delta=0.1)


def test_the_complexity_of_margins_is_at_most_c_times_that_of_one_column() -> None:
    """Exactly, over all signs of five examples: the sup over |W|_F <= 1 by trying many heads never exceeds it."""
    generator = np.random.default_rng(0)
    features, labels, classes = generator.normal(size=(5, 2)), np.array([0, 1, 2, 0, 1]), 3
    heads = generator.normal(size=(20_000, 2, classes))
    heads /= np.linalg.norm(heads, axis=(1, 2), keepdims=True)
    outputs = np.einsum("nd,hdc->hnc", features, heads)
    own = np.take_along_axis(outputs, labels[None, :, None], axis=2)[..., 0]
    np.put_along_axis(outputs, np.broadcast_to(labels[None, :, None], (len(heads), 5, 1)), -np.inf, axis=2)
    margins = own - outputs.max(axis=2)
    tried = np.mean([(margins @ signs).max() / 5 for signs in product((-1.0, 1.0), repeat=5)])
    assert tried <= classes * sqrt((features**2).sum()) / 5


def test_margins_are_those_of_the_centred_head_of_norm_one_with_its_bias_as_a_feature() -> None:
    features = np.array([[1.0, 2.0], [0.0, -1.0]])
    weights, biases = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]]), np.array([0.5, 0.0, -0.5])
    # Outputs of the two rows: (1.5, 6, 3.5) and (0.5, -3, -1.5). The centred rows of [W; b] have squares 2, 14/3, 0.5.
    norm = sqrt(2 + 14 / 3 + 0.5)
    found = HeadMargins.of(features, [1, 2], weights, biases)
    np.testing.assert_allclose(found.margins, [(6 - 3.5) / norm, (-1.5 - 0.5) / norm])
    np.testing.assert_allclose(found.squared_norms, [6.0, 2.0])
    assert found.classes == 3
    plain = HeadMargins.of(features, [1, 2], weights)
    np.testing.assert_allclose(plain.margins, [(6 - 4) / sqrt(2 + 14 / 3), (-1 - 0) / sqrt(2 + 14 / 3)])
    np.testing.assert_allclose(plain.squared_norms, [5.0, 1.0])


@pytest.mark.parametrize("unit", [1.0, 2.0**-25, 2.0**28])
def test_the_risk_bound_is_the_best_over_powers_of_two_each_with_its_share_of_delta(unit: float) -> None:
    features, labels = problem(0, n=20_000, offset=6.0)
    head = HeadMargins.of(unit * features, labels, np.eye(4, 3))
    best = np.inf
    for k in range(-30, 31):
        loss = np.minimum(1, np.maximum(0, 1 - head.margins / 2.0**k)).mean()
        complexity = 2 * 3 / 2.0**k * unit * sqrt((features**2).sum()) / 20_000
        best = min(best, loss + complexity + 3 * sqrt(log(2 * 61 / 0.1) / 40_000))
    found = margin_risk_bound(head, delta=0.1)
    assert found.risk == pytest.approx(best)
    assert found.risk < 1
    assert found.gap == pytest.approx(found.risk - found.training_error)
    assert found.training_error == pytest.approx(((features[:, :3]).argmax(axis=1) != labels).mean())
    assert found.margin_loss >= found.training_error
    assert found.margin == unit * margin_risk_bound(HeadMargins.of(features, labels, np.eye(4, 3)), delta=0.1).margin


def test_the_default_confidence_is_95_per_cent() -> None:
    features, labels = problem(0)
    head = HeadMargins.of(features, labels, np.eye(4, 3))
    assert margin_risk_bound(head) == margin_risk_bound(head, delta=0.05)


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(1e-3, 1e3))
def test_scaled_weights_a_common_vector_a_rotation_and_renamed_classes_change_nothing(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    features, labels = problem(seed)
    weights, biases = generator.normal(size=(4, 3)), generator.normal(size=3)
    want = bound(features, labels, weights, biases)
    rotation, order = np.linalg.qr(generator.normal(size=(4, 4)))[0], generator.permutation(3)
    for other in (
        bound(features, labels, scale * weights, scale * biases),
        bound(features, labels, weights + generator.normal(size=(4, 1)), biases + 1.5),
        bound(features @ rotation, labels, rotation.T @ weights, biases),
        bound(features, order.argsort()[labels], weights[:, order], biases[order]),
    ):
        assert other.risk == pytest.approx(want.risk, rel=1e-9)
        assert other.margin == want.margin


def test_the_bound_holds_in_every_draw_also_where_labels_mean_nothing_and_weights_are_tiny() -> None:
    """Labels without any signal: a head does far better on its 60 training rows than the half that it deserves."""
    fresh, measured = np.random.default_rng(10_000), []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        features, labels = generator.normal(size=(60, 30)), generator.integers(2, size=60)
        learned = LogisticRegression(C=10.0, max_iter=300).fit(features, labels)
        weights = 1e-3 * np.c_[-learned.coef_[0], learned.coef_[0]]
        unseen, truth = fresh.normal(size=(500, 30)), fresh.integers(2, size=500)
        test_error = float(((unseen @ weights).argmax(axis=1) != truth).mean())
        found = bound(features, labels, weights)
        measured.append(test_error - found.training_error)
        assert test_error <= found.risk
        assert measured[-1] <= found.gap
    assert np.mean(measured) > 0.3


def test_the_bound_holds_in_every_draw_where_it_is_not_vacuous() -> None:
    values = []
    for seed in range(40):
        features, labels = problem(seed, n=2000, d=3, offset=9.0)
        unseen, truth = problem(seed + 1000, n=2000, d=3, offset=9.0)
        # A nearest-mean head learned from the sample.
        means = np.stack([features[labels == c].mean(axis=0) for c in range(3)])
        weights, biases = means.T, -0.5 * (means**2).sum(axis=1)
        found = bound(features, labels, weights, biases)
        values.append(found.risk)
        assert float(((unseen @ weights + biases).argmax(axis=1) != truth).mean()) <= found.risk
    assert max(values) < 1


def test_more_examples_and_fewer_classes_tighten_the_bound() -> None:
    risks = []
    for n in (300, 3000, 30_000):
        features, labels = problem(1, n=n, offset=4.0)
        risks.append(bound(features, labels, np.eye(4, 3)).risk)
    assert all(larger > smaller for larger, smaller in pairwise(risks))


def test_two_batches_of_one_head_are_one_sample() -> None:
    features, labels = problem(2)
    parts = [HeadMargins.of(features[rows], labels[rows], np.eye(4, 3)) for rows in (slice(0, 100), slice(100, None))]
    whole = margin_risk_bound(HeadMargins.of(features, labels, np.eye(4, 3)))
    assert margin_risk_bound(parts[0] + parts[1]) == whole


@pytest.mark.parametrize(
    ("features", "labels", "weights", "biases"),
    [
        (np.ones(3), [0], np.eye(3), None),
        (np.ones((2, 3)), [0], np.eye(3), None),
        (np.ones((2, 3)), [0, 1], np.eye(4), None),
        (np.ones((2, 3)), [0, 3], np.eye(3), None),
        (np.ones((2, 3)), [0, -1], np.eye(3), None),
        (np.ones((2, 3)), [0.0, 1.0], np.eye(3), None),
        (np.ones((2, 3)), [0, 1], np.ones((3, 3)), None),
        (np.ones((2, 3)), [0, 1], np.eye(3), np.ones(2)),
        (np.full((2, 3), np.nan), [0, 1], np.eye(3), None),
        (np.ones((2, 3)), [0, 1], np.full((3, 3), np.inf), None),
        (np.ones((0, 3)), np.zeros(0, int), np.eye(3), None),
    ],
)
def test_what_is_no_head_or_no_labelled_example_is_refused(
    features: Floats, labels: Floats, weights: Floats, biases: Floats | None
) -> None:
    with pytest.raises(InvalidDiscrepancyInput):
        HeadMargins.of(features, labels, weights, biases)


def test_features_that_are_all_zero_bound_nothing() -> None:
    found = bound(np.zeros((10, 2)), np.arange(10) % 2, np.eye(2))
    assert found.training_error == 1.0
    assert found.risk > 1
    with pytest.raises(InvalidDiscrepancyInput):
        margin_risk_bound(HeadMargins.of(np.ones((4, 2)), [0, 1, 0, 1], np.eye(2)), delta=1.0)
