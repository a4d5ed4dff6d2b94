"""Constants and terms of the scores that are made of class means and scatter, and of comparisons of two scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import pinv, solve
from scipy.stats import kurtosis
from scipy.stats import t as student
from sklearn.covariance import ledoit_wolf, oas
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor

from frontrunner import scores
from frontrunner.scores import ScoreValue, probability_first_beats_second
from frontrunner.scores.intervals import interval, standard_error
from frontrunner.scores.lda import leave_one_out_discriminants, oracle_approximating_intensity
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.scoring_input import ScoringInput
from tests.scores.inputs import separable


def unequal(counts: tuple[int, ...], dimension: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of these sizes, far from zero."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = generator.normal(size=(len(counts), dimension))
    scale = np.linspace(0.5, 2.0, dimension)
    return generator.normal(size=(labels.size, dimension)) * scale + centres[labels] + 3.0, labels


@pytest.mark.parametrize(("n", "dimension"), [(30, 4), (200, 9), (12, 40)])
def test_the_shrinkage_of_lda_is_equation_23_of_chen_et_al(n: int, dimension: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n, dimension)) * np.linspace(0.2, 3.0, dimension)
    s, p = rows.T @ rows / n, dimension
    square, trace = np.trace(s @ s), np.trace(s)
    expected = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    assert expected < 1
    assert oracle_approximating_intensity(np.tril(s * n), n) == pytest.approx(expected, rel=1e-9)


def test_the_shrinkage_of_lda_is_scikit_learns_where_features_are_many() -> None:
    # Scikit-learn leaves out the terms of 2/p.
    rows = np.random.default_rng(0).normal(size=(300, 600)) * np.linspace(0.1, 3.0, 600)
    expected = oas(rows, assume_centered=True)[1]
    assert oracle_approximating_intensity(np.tril(rows.T @ rows), 300) == pytest.approx(expected, rel=5e-3)


def test_lda_leaves_rows_of_unequal_classes_out_exactly() -> None:
    features, labels = unequal((15, 9, 2, 1), 4)
    n, dimension = features.shape
    shard = scores.shard_of(features, labels)
    scored = ScoringInput(shard.statistics(), [shard])
    found, _ = leave_one_out_discriminants(Scatter.of(scored.statistics), scored.rows(n))
    means = np.stack([features[labels == c].mean(axis=0) for c in range(4)])
    s = (features - means[labels]).T @ (features - means[labels]) / n
    square, trace = np.trace(s @ s), np.trace(s)
    shrinkage = min(
        ((1 - 2 / dimension) * square + trace**2) / ((n + 1 - 2 / dimension) * (square - trace**2 / dimension)), 1
    )
    hits = []
    for i, label in enumerate(labels):
        keep = np.arange(n) != i
        if not (keep & (labels == label)).any():
            assert found[i, label] == -np.inf
            hits.append(False)
            continue
        means = np.stack([features[keep & (labels == c)].mean(axis=0) for c in range(4)])
        inner = features[keep] - means[labels[keep]]
        covariance = (1 - shrinkage) * inner.T @ inner / n + shrinkage * trace / dimension * np.eye(dimension)
        away = features[i] - means
        expected = np.log(np.bincount(labels)) - 0.5 * np.einsum("cd,dc->c", away, solve(covariance, away.T))
        np.testing.assert_allclose(found[i] - found[i, 0], expected - expected[0], rtol=1e-7, atol=1e-9)
        hits.append(expected.argmax() == label)
    assert scores.score("lda", features, labels) == pytest.approx(np.mean(hits), abs=1e-12)


def test_gbc_gives_a_class_of_one_row_the_pooled_variance() -> None:
    features, labels = unequal((6, 9, 1), 3)
    means = [features[labels == c].mean(axis=0) for c in range(3)]
    own = [features[labels == c].var(axis=0).mean() for c in range(2)]
    variances = [*own, (6 * own[0] + 9 * own[1]) / 16]
    expected = 0.0
    for c in range(3):
        for d in range(c):
            both = variances[c] + variances[d]
            distance = np.sum((means[c] - means[d]) ** 2) / (4 * both)
            distance += 3 / 2 * np.log(both / (2 * np.sqrt(variances[c] * variances[d])))
            expected -= np.exp(-distance)
    assert scores.score("gbc", features, labels) == pytest.approx(expected, rel=1e-9)


def test_the_h_scores_of_unequal_classes_are_traces_of_the_covariances() -> None:
    features, labels = unequal((25, 12, 5), 6)
    means = np.stack([features[labels == c].mean(axis=0) for c in range(3)])[labels]
    between = np.cov(means.T)
    assert scores.score("h_score", features, labels) == pytest.approx(
        np.trace(pinv(np.cov(features.T)) @ between), rel=1e-9
    )
    # As in its authors' code, the shrunken covariance divides by n and that of the class means by n - 1.
    shrunk, intensity = ledoit_wolf(features)
    assert 0.05 < intensity < 1
    assert scores.score("regularized_h_score", features, labels) == pytest.approx(
        (1 - intensity) * np.trace(np.linalg.inv(shrunk) @ between), rel=1e-8
    )


def test_knn_of_real_targets_is_scikit_learns_regressor_without_the_row() -> None:
    data = separable(70, 6, 3)
    features = data["features"]
    targets = np.c_[features @ np.arange(6), np.random.default_rng(0).normal(size=70)]
    predicted = []
    for i in range(70):
        keep = np.arange(70) != i
        model = KNeighborsRegressor(5, metric="cosine", weights=lambda d: 2 - d)
        predicted.append(model.fit(features[keep], targets[keep]).predict(features[[i]])[0])
    expected = r2_score(targets, np.array(predicted))
    assert scores.score("knn", features, targets) == pytest.approx(expected, rel=1e-6)


def test_an_interval_is_students_around_the_value_with_one_degree_of_freedom_less_than_groups() -> None:
    replicates = np.random.default_rng(0).normal(size=12)
    error = np.sqrt(11 / 12 * np.sum((replicates - replicates.mean()) ** 2))
    assert standard_error(replicates) == pytest.approx(error)
    ends = interval(0.3, replicates)
    assert ends is not None
    assert ends == pytest.approx(student.interval(0.95, 11, loc=0.3, scale=error), rel=1e-9)


@pytest.mark.parametrize("paired", [True, False])
def test_the_probability_of_beating_is_students_at_the_lead_over_its_error(paired: bool) -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=10), generator.normal(size=10 if paired else 14)
    if paired:
        error = np.sqrt(9 / 10 * np.sum((a - b - (a - b).mean()) ** 2))
    else:
        error = np.sqrt(9 / 10 * np.sum((a - a.mean()) ** 2) + 13 / 14 * np.sum((b - b.mean()) ** 2))
    found = probability_first_beats_second(
        ScoreValue(value=2.0, replicates=tuple(a)), ScoreValue(value=0.7, replicates=tuple(b))
    )
    # Satterthwaite's degrees of freedom, from the kurtosis of the fewer.
    spreads = [a - b] if paired else [a, b]
    freedom = min(min(x.size - 1, 2 * x.size / (kurtosis(x, fisher=False) - 1)) for x in spreads)
    assert found == pytest.approx(student.cdf(1.3 / error, freedom), rel=1e-9)
    assert 0.55 < student.cdf(1.3 / error, freedom) < 0.95
