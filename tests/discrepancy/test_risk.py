"""Facts about the empirical risk of a head plus the gap of its discrepancy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from frontrunner.discrepancy import RiskBound, SGDNoise, head_discrepancy, leave_one_out_risk, risk_bound
from frontrunner.errors import NothingToSeparate, ScoreNotApplicable
from frontrunner.scores import ScoringInput, statistics_of
from frontrunner.scores.logme import logme_from_statistics
from frontrunner.scores.registry import shard_of
from frontrunner.statistics import Floats


def brute_force(features: Floats, labels: np.ndarray) -> tuple[Floats, Floats]:
    """(n, C) what ridge fits without each row predict for it, at LogME's precisions, and (n, C) the targets."""
    evidence = logme_from_statistics(statistics_of(features, labels))
    if labels.dtype.kind == "f":
        outputs = labels.reshape(len(labels), -1)
    else:
        outputs = (labels[:, None] == np.unique(labels)).astype(float)
    predicted = np.empty_like(outputs)
    for row in range(len(outputs)):
        kept = np.arange(len(outputs)) != row
        for column, t in enumerate(evidence.alpha / evidence.beta):
            gram = features[kept].T @ features[kept] + t * np.eye(features.shape[1])
            weights = np.linalg.solve(gram, features[kept].T @ outputs[kept, column])
            predicted[row, column] = features[row] @ weights
    return predicted, outputs


def classes(seed: int, n: int, d: int, spread: float = 1.0) -> tuple[Floats, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return generator.normal(size=(n, d)) + spread * generator.normal(size=(3, d))[labels], labels


@pytest.mark.parametrize(("n", "d"), [(60, 4), (30, 45)])
def test_the_risk_of_classes_is_the_error_rate_of_heads_fitted_without_the_row(n: int, d: int) -> None:
    features, labels = classes(0, n, d, 0.5)
    predicted, _ = brute_force(features, labels)
    want = float((predicted.argmax(axis=1) != labels).mean())
    assert 0 < want < 1
    assert risk_bound(features, labels).empirical_risk == pytest.approx(want)


def test_the_risk_of_real_targets_is_the_truncated_squared_error_over_the_variance() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(50, 4))
    targets = np.c_[features @ np.ones(4), 3 * generator.normal(size=50)] + 0.5 * generator.normal(size=(50, 2))
    predicted, outputs = brute_force(features, targets)
    losses = (outputs - predicted) ** 2 / outputs.var(axis=0)
    want = float(np.minimum(losses, 1.0).mean())
    assert (losses > 1).any()
    assert risk_bound(features, targets).empirical_risk == pytest.approx(want, rel=1e-5)
    assert risk_bound(features, 1e3 * targets).empirical_risk == pytest.approx(want, rel=1e-5)


def test_the_bounds_are_the_risk_plus_each_gap_of_the_heads_discrepancy() -> None:
    features, labels = classes(2, 90, 5)
    found = risk_bound(features, labels, delta=0.1)
    discrepancy = head_discrepancy(statistics_of(features, labels), delta=0.1)
    confidence = 2 * math.log(10) + 2 * math.log(90) + 4
    gaps = [math.sqrt((d + confidence) / 358) for d in (discrepancy.twice_kl, discrepancy.dimension_dependent)]
    assert found.gap == pytest.approx(gaps[0], rel=1e-6)
    assert found.published_gap == pytest.approx(gaps[1], rel=1e-6)
    assert found.value == pytest.approx(found.empirical_risk + gaps[0], rel=1e-6)
    assert found.published_value == pytest.approx(found.empirical_risk + gaps[1], rel=1e-6)
    assert risk_bound(features, labels) == risk_bound(features, labels, delta=0.05)
    assert RiskBound(0.1, 0.3, None).published_value is None


def test_source_statistics_move_the_gap_and_leave_the_risk_alone() -> None:
    features, labels = classes(3, 90, 5)
    source = statistics_of(*classes(4, 200, 5))
    near, far = risk_bound(features, labels), risk_bound(features, labels, source)
    assert far.empirical_risk == near.empirical_risk
    want = head_discrepancy(statistics_of(features, labels), source, noise=SGDNoise("isotropic"))
    assert far.gap == pytest.approx(want.pac_bayes_gap)
    assert far.gap != pytest.approx(near.gap)


def test_useless_features_are_near_and_no_better_for_it() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(3000) % 2
    useless = generator.normal(size=(3000, 5))
    useful = useless + 3 * labels[:, None]
    reports = [head_discrepancy(statistics_of(features, labels)) for features in (useless, useful)]
    assert reports[0].twice_kl < reports[1].twice_kl
    assert risk_bound(useless, labels).value > risk_bound(useful, labels).value


def test_a_bound_from_sums_alone_and_one_of_a_single_class_are_refused() -> None:
    features, labels = classes(6, 30, 3)
    with pytest.raises(ScoreNotApplicable):
        leave_one_out_risk(ScoringInput(shard_of(features, labels).statistics(), []))
    with pytest.raises(NothingToSeparate):
        risk_bound(features, np.zeros(30, dtype=int))


def test_at_most_4096_rows_are_predicted_and_all_where_they_are_fewer_than_the_features() -> None:
    features, labels = classes(7, 5000, 2, 0.7)
    risk = risk_bound(features, labels).empirical_risk
    assert risk * 4096 == pytest.approx(round(risk * 4096))
    features, labels = classes(8, 21, 60, 0.3)
    risk = risk_bound(features, labels).empirical_risk
    assert risk * 21 == pytest.approx(round(risk * 21))
