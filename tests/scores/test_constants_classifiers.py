"""Constants and terms of GBC and of the predictors, and what they are without a row, by loops and scikit-learn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from frontrunner import scores
from frontrunner.scores.gbc import _class_variances
from frontrunner.scores.influence import Influence
from frontrunner.scores.lda import leave_one_out_discriminants, oracle_approximating_intensity
from frontrunner.scores.linear_probe import _mean_leverage, _standardised
from frontrunner.scores.sampling import stratified_folds
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.score import Estimate
from frontrunner.scores.scoring_input import ScoringInput
from tests.scores.inputs import separable


def input_of(features: np.ndarray, labels: np.ndarray) -> ScoringInput:
    shard = scores.shard_of(features, labels)
    return ScoringInput(shard.statistics(), [shard])


def influence_of(name: str, features: np.ndarray, labels: np.ndarray) -> Influence:
    """How much each row adds."""
    with np.errstate(all="raise", under="ignore"):
        found = scores.describe(name).estimate(input_of(features, labels)).influence
        assert found is not None
        return found()


def classes_of(counts: tuple[int, ...], dimension: int, seed: int = 0, gap: float = 1.0) -> tuple[np.ndarray, ...]:
    """Features and classes of these sizes."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = gap * generator.normal(size=(len(counts), dimension))
    return generator.normal(size=(labels.size, dimension)) * np.linspace(0.5, 2.0, dimension) + centres[labels], labels


def bhattacharyya(m: np.ndarray, s: float, n: np.ndarray, t: float) -> float:
    """The coefficient of N(m, s I) and N(n, t I)."""
    mean = (s + t) / 2
    distance = np.sum((m - n) ** 2) / (8 * mean) + m.size / 2 * np.log(mean / np.sqrt(s * t))
    return float(np.exp(-distance))


def gaussians(features: np.ndarray, labels: np.ndarray) -> tuple[list[np.ndarray], list[float], list[bool]]:
    """Mean and variance per feature of each class, and whether the variance is the pooled one, for want of spread."""
    parts = [features[labels == c] for c in range(labels.max() + 1)]
    variances = [float(part.var(axis=0).mean()) for part in parts]
    pooled = sum(len(part) * variance for part, variance in zip(parts, variances, strict=True)) / len(features)
    borrowed = [len(part) == 1 or np.ptp(part, axis=0).max() == 0 for part in parts]
    return (
        [part.mean(axis=0) for part in parts],
        [pooled if b else v for v, b in zip(variances, borrowed, strict=True)],
        borrowed,
    )


@pytest.mark.parametrize(("counts", "dimension"), [((9, 6, 3, 2, 1), 3), ((9, 6, 3, 2, 1), 1), ((7, 5, 4), 30)])
@pytest.mark.parametrize("copies", [False, True])
def test_gbc_without_a_row_has_the_rest_of_its_class_as_a_gaussian(
    counts: tuple[int, ...], dimension: int, copies: bool
) -> None:
    features, labels = classes_of(counts, dimension, gap=0.5 / np.sqrt(dimension))
    if copies:
        features[labels == 1] = features[labels == 1][0]
    means, variances, borrowed = gaussians(features, labels)
    classes = range(len(counts))
    overlap = [[bhattacharyya(means[c], variances[c], means[d], variances[d]) for d in classes] for c in classes]
    assert scores.score("gbc", features, labels) == pytest.approx((len(counts) - np.sum(overlap)) / 2, rel=1e-7)
    expected = []
    for i, c in enumerate(labels):
        left = features[(labels == c) & (np.arange(labels.size) != i)]
        if len(left) == 0:
            expected.append(0.0)
            continue
        # The variance of a single row, or of copies, stays as it was.
        variance = variances[c] if len(left) < 2 or borrowed[c] else float(left.var(axis=0).mean())
        expected.append(
            sum(
                bhattacharyya(left.mean(axis=0), variance, means[d], variances[d]) - overlap[c][d]
                for d in classes
                if d != c
            )
        )
    found = influence_of("gbc", features, labels)
    assert found.whole
    np.testing.assert_allclose(found.changes, expected, rtol=1e-6, atol=1e-9)


def test_gbc_without_the_only_row_that_differs_has_next_to_no_variance() -> None:
    features = np.array([0.0, 0.0, 1.5, -1.0, 0.0, 1.0, 0.5, -0.5, -3.0, 3.0])[:, None]
    labels = np.repeat([0, 1, 2], [3, 5, 2])
    means, variances, _ = gaussians(features, labels)
    least = min(variances) * 1e-12
    expected = sum(
        bhattacharyya(np.zeros(1), least, means[d], variances[d])
        - bhattacharyya(means[0], variances[0], means[d], variances[d])
        for d in (1, 2)
    )
    # Of the value without the row some thousandths come from the variance that is left.
    gone = sum(bhattacharyya(means[0], variances[0], means[d], variances[d]) for d in (1, 2))
    found = influence_of("gbc", features, labels).changes[2]
    assert found + gone == pytest.approx(expected + gone, rel=1e-6)


def test_gbc_of_a_class_of_little_spread_has_that_spread() -> None:
    # 5e-5 of the others' spread is more than rounding, also of a few hundred rows.
    features, labels = classes_of((200, 150, 50), 2, gap=0.0)
    features[labels == 2] = 0.3 + 5e-5 * features[labels == 2]
    means, variances, _ = gaussians(features, labels)
    expected = -sum(bhattacharyya(means[c], variances[c], means[d], variances[d]) for c, d in ((0, 1), (0, 2), (1, 2)))
    assert scores.score("gbc", features, labels) == pytest.approx(expected, rel=1e-8)


def test_gbc_of_classes_without_spread_takes_a_trillionth_of_the_variance_of_all() -> None:
    # Two classes of copies next to each other, a third far away. The grand mean is that of the three.
    features = np.repeat(np.array([[0.0, 0.0], [1e-6, 0.0], [1.0, 2.0]]), 4, axis=0)
    labels = np.repeat([0, 1, 2], 4)
    variance = 1e-12 * features.var(axis=0).mean()
    expected = -np.exp(-1e-12 / (8 * variance))
    assert 0.5 < -expected < 0.9
    assert scores.score("gbc", features, labels) == pytest.approx(expected, rel=1e-3)
    assert scores.score("gbc", features * 1e-3, labels) == pytest.approx(expected, rel=1e-3)


def test_classes_of_one_point_overlap_wholly_and_no_more() -> None:
    # Rounding makes squared distances of equal means negative, and variances here are a trillionth.
    for seed in range(30):
        points = np.random.default_rng(seed).normal(size=(2, 5))
        features = np.repeat(points[[0, 0, 1]], 3, axis=0)
        assert scores.score("gbc", features, np.repeat([0, 1, 2], 3)) >= -1.0


def test_gbc_gives_a_lone_far_row_the_pooled_variance_whatever_its_rounding() -> None:
    for seed in range(40):
        features, labels = classes_of((20, 19, 1), 16, seed)
        features[-1] *= 100
        data = input_of(features, labels)
        variances, own = _class_variances(data, Scatter.of(data.statistics))
        within = [features[labels == c].var(axis=0).mean() for c in range(2)]
        assert variances[2] == pytest.approx((20 * within[0] + 19 * within[1]) / 40, rel=1e-9)
        assert own.tolist() == [1.0, 1.0, 0.0]


def shrinkage_of(scatter: np.ndarray, n: int) -> float:
    """Equation 23 of Chen et al. 2010, at most 1."""
    s, p = scatter / n, len(scatter)
    square, trace = np.trace(s @ s), np.trace(s)
    ratio = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    return float(min(ratio, 1.0))


def discriminants_without_each_row(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """log n_c - 1/2 of the squared distance to each mean; and the mean leverage x'S^-1 x of rows about their class."""
    n, dimension = features.shape
    classes = labels.max() + 1
    means = np.stack([features[labels == c].mean(axis=0) for c in range(classes)])
    inner = features - means[labels]
    scatter = inner.T @ inner
    a = shrinkage_of(scatter, n) if dimension > 1 else 1.0
    shrunk = (1 - a) * scatter / n + a * np.trace(scatter) / n / dimension * np.eye(dimension)
    found, leverages = np.full((n, classes), -np.inf), np.zeros(n)
    for i, label in enumerate(labels):
        keep = np.arange(n) != i
        others = means.copy()
        alone = not (keep & (labels == label)).any()
        if not alone:
            others[label] = features[keep & (labels == label)].mean(axis=0)
        centred = features[keep] - others[labels[keep]]
        covariance = (1 - a) * centred.T @ centred / n + a * np.trace(scatter) / n / dimension * np.eye(dimension)
        away = features[i] - others
        found[i] = np.log(np.bincount(labels)) - 0.5 * np.einsum("cd,dc->c", away, solve(covariance, away.T))
        if alone:
            found[i, label] = -np.inf
        else:
            size = np.sum(labels == label)
            leverages[i] = (1 - a) / n * size / (size - 1) * inner[i] @ solve(shrunk, inner[i])
    return found, float(leverages.mean())


@pytest.mark.parametrize(
    ("counts", "dimension"), [((15, 9, 2, 1), 4), ((15, 9, 2, 1), 1), ((6, 5, 2), 20), ((7, 6), 2), ((3, 2, 1), 3)]
)
def test_lda_leaves_a_row_out_and_counts_its_leverage(counts: tuple[int, ...], dimension: int) -> None:
    features, labels = classes_of(counts, dimension)
    n, data = labels.size, input_of(features + 5.0, labels)
    with np.errstate(all="raise"):
        found, leverage = leave_one_out_discriminants(Scatter.of(data.statistics), data.rows(n))
    expected, expected_leverage = discriminants_without_each_row(features, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    assert leverage == pytest.approx(expected_leverage, rel=1e-8, abs=1e-12)
    wrong = (expected.argmax(axis=1) != labels).astype(float)
    assert scores.score("lda", features, labels) == pytest.approx(1 - wrong.mean())
    expected_changes = (wrong.mean() - wrong) / n * np.sqrt(1 + expected_leverage)
    np.testing.assert_allclose(influence_of("lda", features, labels).changes, expected_changes, atol=1e-10)


def test_the_shrinkage_of_lda_is_at_most_one() -> None:
    for n, diagonal in ((3, [1.0, 1.1, 0.9]), (3, [1.0, 3.0, 1.0]), (4, [1.0, 1.0, 1.0, 1.0]), (2, [1.0, 4.0])):
        scatter = np.diag(diagonal)
        expected = shrinkage_of(scatter, n) if len(set(diagonal)) > 1 else 1.0
        assert oracle_approximating_intensity(scatter, n) == pytest.approx(expected, rel=1e-12)
    assert oracle_approximating_intensity(np.array([[3.0]]), 5) == 1.0


def test_lda_of_classes_of_little_spread_keeps_their_shape() -> None:
    # Classes 3e-5 wide and 1 apart: the scatter within them is a billionth of the whole, far above its rounding.
    features, labels = classes_of((300, 300), 2, gap=0.0)
    features = 3e-5 * features + labels[:, None] * [1.0, 0.0]
    data = input_of(features, labels)
    found, leverage = leave_one_out_discriminants(Scatter.of(data.statistics), data.rows(600))
    expected, expected_leverage = discriminants_without_each_row(features, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=2e-2)
    assert leverage == pytest.approx(expected_leverage, rel=1e-3)


def test_lda_of_classes_whose_spread_is_about_its_rounding() -> None:
    # Rows differ from their class in one direction of five only, which the scatter holds less and less well.
    noise, labels = classes_of((20, 25), 1, gap=0.0)
    centres = np.random.default_rng(1).normal(size=(2, 5))
    for spread in np.geomspace(1e-9, 1e-6, 25):
        features = centres[labels] + spread * noise * np.eye(5)[0]
        assert scores.score("lda", features, labels) == 1.0


def test_lda_of_classes_without_spread_goes_by_the_distance_to_their_means() -> None:
    features = np.repeat([[0.0, 0.0], [3.0, 4.0]], 3, axis=0)
    labels = np.repeat([0, 1], 3)
    data = input_of(features, labels)
    found, leverage = leave_one_out_discriminants(Scatter.of(data.statistics), data.rows(6))
    np.testing.assert_allclose(found[0], np.log(3) - 0.5 * np.array([0.0, 25.0]), rtol=1e-9)
    assert leverage == pytest.approx(0.0, abs=1e-12)


def knn_losses(near: np.ndarray, weight: np.ndarray, outputs: np.ndarray, classes: bool) -> np.ndarray:
    """Losses of the mean output of the rows `near` each row, wrong or right for classes, squared for real targets."""
    predicted = np.array([np.average(outputs[j], axis=0, weights=w) for j, w in zip(near, weight, strict=True)])
    if classes:
        return np.asarray(predicted.argmax(axis=1) != outputs.argmax(axis=1), dtype=float)[:, None]
    return np.asarray((outputs - predicted) ** 2)


def knn_without_each_row(features: np.ndarray, targets: np.ndarray, classes: bool) -> tuple[float, np.ndarray]:
    """The value and influences: a neighbour that is left out is replaced by the sixth."""
    m = len(features)
    outputs = np.eye(targets.max() + 1)[targets] if classes else targets
    cosine = cosine_similarity(features)
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1)[:, : min(6, m - 1)]
    weight = 1 + np.take_along_axis(cosine, near, axis=1)
    kept = near.shape[1]
    found = knn_losses(near[:, :5], weight[:, :5], outputs, classes)
    steps = []
    for place in range(min(5, kept)):
        if kept > 1:
            rest = [k for k in range(kept) if k != place]
            steps.append(knn_losses(near[:, rest], weight[:, rest], outputs, classes) - found)
    grown = np.zeros_like(found)
    for place, step in enumerate(steps):
        for i in range(m):
            grown[near[i, place]] += step[i]
    spread = ((grown - grown.mean(axis=0)) ** 2).sum(axis=0)
    noise = ((np.concatenate(steps) - np.concatenate(steps).mean(axis=0)) ** 2).sum(axis=0) if steps else spread
    own = np.array([1 - b / a if b < a else 0.0 for a, b in zip(spread, noise, strict=True)])
    without = []
    for i in range(m):
        left = np.delete(found, i, axis=0).sum(axis=0) + grown[i] * np.sqrt(own)
        scale = m - 1 if classes else (m - 1) * np.delete(targets, i, axis=0).var(axis=0)
        without.append(float((1 - left / scale).mean()))
    value = 1 - found.mean() if classes else r2_score(outputs, outputs - np.sqrt(found))
    return float(value), (np.mean(without) - np.array(without)) * (1 - 1 / m)


@pytest.mark.parametrize(
    ("n", "dimension", "seed", "scale"),
    [(60, 2, 4, 0.2), (60, 90, 2, 1.0), (7, 3, 0, 1.0), (6, 3, 0, 1.0), (3, 2, 0, 1.0), (300, 4, 0, 1.0)],
)
@pytest.mark.parametrize("classes", [True, False])
def test_knn_without_a_row_takes_the_next_neighbour(
    n: int, dimension: int, seed: int, scale: float, classes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontrunner.scores.knn._ROWS_AT_ONCE", 32)
    data = separable(n, dimension, 3, seed=seed, gap=0.2)
    features = scale * data["features"]
    noise = np.random.default_rng(n).normal(size=n)
    targets = data["labels"] if classes else np.c_[features @ np.ones(dimension), noise] / scale
    value, changes = knn_without_each_row(features, targets, classes)
    assert scores.score("knn", features, targets) == pytest.approx(value, rel=1e-6, abs=1e-6)
    found = influence_of("knn", features, targets)
    np.testing.assert_allclose(found.changes, changes, rtol=1e-5, atol=1e-6)
    # A row counts more than by its own prediction.
    assert n != 60 or not classes or np.ptp(changes) > 3 / n


def test_knn_of_two_rows_and_of_rows_that_are_all_right() -> None:
    two = np.array([[1.0, 0.2], [0.5, 1.0]])
    assert influence_of("knn", two, np.array([0, 1])).changes.tolist() == [0.0, 0.0]
    features, labels = classes_of((20, 20), 3, gap=0.0)
    features = np.where(labels[:, None] > 0, [5.0, 0, 0], [0, 5.0, 0]) + 0.1 * features
    assert scores.score("knn", features, labels) == 1.0
    assert influence_of("knn", features, labels).changes.tolist() == [0.0] * 40


def test_knn_finds_the_neighbours_of_rows_that_lie_far_from_zero() -> None:
    data = separable(60, 4, 3)
    features = data["features"] + 3e3
    targets = np.c_[features @ np.arange(4), features[:, 1]]
    value, _ = knn_without_each_row(features, targets, classes=False)
    assert scores.score("knn", features, targets) == pytest.approx(value, rel=1e-6)


def test_an_opposite_row_counts_a_millionth_and_a_row_of_zeros_is_at_right_angles() -> None:
    features = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    targets = np.array([0.0, 2e6, 0.0])
    with np.errstate(all="raise"):
        found = scores.score("knn", features, targets)
    # Row 0 has neighbours of weight 1 and 1e-6, row 1 the same, and row 2 two of weight 1.
    predicted = np.array([2e6 * 1e-6 / (1 + 1e-6), 0.0, 1e6])
    assert found == pytest.approx(r2_score(targets, predicted), rel=1e-6)
    targets = np.array([0.0, 2e6, 1.0])
    found = scores.score("knn", features[[0, 1, 1]], np.array([0.0, 1.0, 5.0]))
    assert found == pytest.approx(r2_score([0.0, 1.0, 5.0], [3.0, 5.0, 1.0]), rel=1e-5)
    # At right angles to all: the mean of the others, and they see each other by their own angle.
    features = np.array([[0.3, 0.0], [0.3, 0.4], [0.0, 0.0]])
    targets = np.array([1.0, 4.0, -2.0])
    predicted = np.array([(1.6 * 4 - 2) / 2.6, (1.6 * 1 - 2) / 2.6, 2.5])
    with np.errstate(all="raise"):
        assert scores.score("knn", features, targets) == pytest.approx(r2_score(targets, predicted), rel=1e-6)


def test_the_weight_of_an_opposite_row_is_a_millionth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def quality(losses: np.ndarray, *_: object) -> Estimate:
        seen.append(losses)
        return Estimate(0.0, 0.0, None)

    monkeypatch.setattr("frontrunner.scores.knn.prediction_quality", quality)
    scores.score("knn", np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), np.array([0.0, 0.0, 1e6]))
    # Each of the first two predicts (2 * 0 + 1e-6 * 1e6) / (2 + 1e-6), the last 0.
    np.testing.assert_allclose(seen[0][:, 0], [0.25, 0.25, 1e12], rtol=1e-5)


def test_of_penalties_that_do_equally_well_the_weakest_is_chosen() -> None:
    # All rows but two are right at any penalty.
    features = np.r_[np.full(20, -3.0), np.full(20, 3.0)][:, None] + np.random.default_rng(0).normal(size=(40, 1)) / 4
    labels = np.repeat([0, 1], 20)
    labels[[0, 20]] = 1, 0
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        model = LogisticRegression(C=strength, tol=1e-8)
        folds = PredefinedSplit(stratified_folds(labels, 5))
        right = cross_val_predict(model, StandardScaler().fit_transform(features), labels, cv=folds) == labels
        assert right.sum() == 38
    found = influence_of("linear_probe", features, labels).changes
    # One feature and 40 rows: an eigenvalue of 40, times p(1 - p) of a quarter, beside a penalty of 1.
    leverage = 1 / 40 * 10 / (10 + 1)
    np.testing.assert_allclose(found, (right - right.mean()) / 40 * np.sqrt(1 + leverage), rtol=1e-9)


def test_the_mean_leverage_of_a_classifier_grows_with_features_and_falls_with_the_penalty() -> None:
    for n, dimension in ((100, 10), (10, 100), (30, 30)):
        standard = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0][:, : min(n, dimension)]
        standard *= np.sqrt(n * dimension / min(n, dimension))  # equal eigenvalues that sum to n D
        for strength in (1e-3, 1e-1, 1.0):
            hat = standard / 4 @ np.linalg.inv(standard.T @ standard / 4 + np.eye(standard.shape[1]) / strength)
            assert _mean_leverage(n, dimension, strength) == pytest.approx(np.trace(hat @ standard.T) / n, rel=1e-9)
    found = [_mean_leverage(50, 20, strength) for strength in (1e-4, 1e-2, 1.0)]
    assert all(a < b for a, b in pairwise(found))


@pytest.mark.parametrize("shape", [(30, 6), (8, 8), (9, 20)])
@pytest.mark.parametrize("offset", [3.0, -3.0, 1e6])
def test_features_are_standardised_to_the_digits_of_float32(shape: tuple[int, int], offset: float) -> None:
    features = np.random.default_rng(0).normal(size=shape) * np.linspace(0.1, 5.0, shape[1]) + offset
    features[:, 1] = offset
    expected = StandardScaler().fit_transform(features)
    found = _standardised(features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert found[:, 1].tolist() == [0.0] * shape[0]


def test_columns_that_do_not_vary_leave_the_linear_probe_as_it_is() -> None:
    data: dict[str, Any] = separable(60, 4, 2)
    constants = np.full((60, 3), [0.1, 0.0, 1000.1])
    wider = np.hstack([data["features"], constants])
    with np.errstate(all="raise", under="ignore"):
        assert scores.score("linear_probe", wider, data["labels"]) == scores.score(
            "linear_probe", data["features"], data["labels"]
        )
    # Small beside 1, and larger than its own rounding.
    small = 1e-7 * data["features"]
    assert scores.score("linear_probe", small, data["labels"]) == scores.score(
        "linear_probe", data["features"], data["labels"]
    )
