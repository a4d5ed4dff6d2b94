"""Constants and terms of scatter, the H-scores and the scoring input, and the ends of what an evaluation reports."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import t as student
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage

from frontrunner import FeatureStatistics, scores
from frontrunner.errors import InvalidFeatures, NothingToSeparate, ScoreNotApplicable
from frontrunner.scores import ScoreValue, h_score, regularized_h_score
from frontrunner.scores.influence import Influence
from frontrunner.scores.registry import evaluate_input
from frontrunner.scores.regularized_h_score import _intensity_influence, ledoit_wolf_intensity
from frontrunner.scores.sampling import stratified_sample
from frontrunner.scores.scatter import LeftOut, PivotedFactor, Scatter, rounding_of
from frontrunner.scores.score import Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput, occurring_columns, require_varying_targets
from frontrunner.shard import Shard

EPS = float(np.finfo(np.float64).eps)


def classes_of(counts: tuple[int, ...], dimension: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skewed features away from zero, and classes of these sizes."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    mixing = generator.normal(size=(dimension, dimension)) * np.geomspace(0.3, 2.0, dimension)
    features = generator.gamma(2.0, size=(labels.size, dimension)) @ mixing
    return features + generator.normal(size=(len(counts), dimension))[labels] + 1.0, labels


def input_of(features: np.ndarray, labels: np.ndarray) -> ScoringInput:
    shard = scores.shard_of(features, labels)
    return ScoringInput(shard.statistics(), [shard])


def scatters(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T and W, (D, D) each."""
    means = np.stack([features[labels == c].mean(axis=0) if (labels == c).any() else 0 * features[0] for c in range(9)])
    away, inner = features - features.mean(axis=0), features - means[labels]
    return away.T @ away, inner.T @ inner


CASES = [((9, 6, 4), 3), ((7, 5, 1, 2), 4), ((6, 3), 1), ((3, 3), 2), ((4, 3, 2), 12), ((2, 1), 5), ((1, 1), 3)]


@pytest.mark.parametrize(("counts", "dimension"), CASES)
def test_scatter_is_that_of_the_rows(counts: tuple[int, ...], dimension: int) -> None:
    features, labels = classes_of(counts, dimension)
    found = input_of(features, labels).once(Scatter.of_input)
    total, within = scatters(features, labels)
    mean = features.mean(axis=0)
    offsets = [features[labels == c].mean(axis=0) - mean for c in range(len(counts))]
    norms = [((features[labels == c] - mean) ** 2).sum() for c in range(len(counts))]
    assert (found.n, found.counts.tolist()) == (sum(counts), list(counts))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.offsets, offsets, atol=1e-12)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-9)
    np.testing.assert_allclose(np.tril(found.total_lower), np.tril(total), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(np.tril(found.within()), np.tril(within), rtol=1e-9, atol=1e-9)
    # Sums of a single batch are about its mean.
    expected = max(sum(counts), dimension) * EPS * np.trace(total) / dimension
    assert found.rounding == pytest.approx(expected, rel=1e-9)


def test_rows_equal_to_their_class_leave_no_variance_below_zero() -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        labels = np.arange(30) % 3
        features = generator.normal(size=(3, 6))[labels]
        within = Scatter.of(scores.statistics_of(features, labels)).within()
        assert (np.diagonal(within) >= 0).all()


@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_a_pivoted_factor_solves_in_the_range_of_a_singular_matrix(scale: float) -> None:
    generator = np.random.default_rng(0)
    for size, rank in ((5, 5), (6, 3), (4, 1), (1, 1)):
        rows = generator.normal(size=(30, rank)) @ generator.normal(size=(rank, size)) * scale
        rows = np.c_[rows, np.zeros(30)]  # a feature that does not vary
        matrix = rows.T @ rows
        factor = PivotedFactor.of(np.asfortranarray(np.tril(matrix)), 0.0)
        assert (factor.rank, factor.size, factor.lower.shape) == (rank, size + 1, (rank, rank))
        a, inverse = rows[:8], np.linalg.pinv(matrix, rcond=1e-10, hermitian=True)
        half, solved = factor.half_solve(a), factor.solve(a)
        np.testing.assert_allclose(half.T @ half, a @ inverse @ a.T, atol=1e-9)
        np.testing.assert_allclose(solved @ matrix, a, atol=1e-9 * scale)
    for matrix, rounding in ((np.zeros((3, 3)), 0.0), (np.eye(3), 2.0)):
        nothing = PivotedFactor.of(np.asfortranarray(matrix), rounding)
        assert (nothing.rank, nothing.lower.shape) == (0, (0, 0))
        assert nothing.half_solve(np.ones((5, 3))).shape == (0, 5)
        assert nothing.solve(np.ones((5, 3))).tolist() == np.zeros((5, 3)).tolist()


@pytest.mark.parametrize("weight", [1.3, 0.01])
def test_what_the_classes_explain_is_lost_with_a_row_as_the_matrices_say(weight: float) -> None:
    features, labels = classes_of((9, 2, 3, 1), 4)
    n = labels.size
    total, within = scatters(features, labels)
    matrix, x = total + 5 * np.eye(4), features - features.mean(axis=0)
    inverse = np.linalg.inv(matrix)
    scatter = Scatter.of(scores.statistics_of(features, labels))
    own = np.einsum("cd,de,ce->c", scatter.offsets, inverse, scatter.offsets)
    leverage = np.einsum("md,de,me->m", x, inverse, x)
    left = LeftOut(scatter.counts[labels], leverage, x @ inverse @ scatter.offsets.T, own[labels], labels)
    expected = []
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        total_left, within_left = scatters(features[rest], labels[rest])
        inverse_left = np.linalg.inv(matrix - weight * np.outer(x[i], x[i]))
        expected.append(np.trace(inverse @ (total - within)) - np.trace(inverse_left @ (total_left - within_left)))
    np.testing.assert_allclose(left.between_lost(scatter.counts, n, weight), expected, rtol=1e-8, atol=1e-10)


def test_a_row_spans_a_direction_alone_below_a_hundred_millionth() -> None:
    rest = np.array([1.5e-8, 0.7e-8, 0.0])
    along, own_square = np.tile([0.3, -0.2], (3, 1)), np.full(3, 0.1)
    left = LeftOut(np.full(3, 4.0), 1 - rest, along, own_square, np.zeros(3, dtype=int))
    # 1/(1 - h) of the total's 5/4, of the classes' 4 0.3^2 + 1 0.2^2, and of 4/3 (h - 0.3)^2 within.
    h, over = 1 - rest[0], 1 / rest[0]
    within = 4 / 3 * (h - 0.6 + 0.1 + (h - 0.3) ** 2 * over)
    found = left.between_lost(np.array([4.0, 1.0]), 5, 1.0)
    assert found[0] == pytest.approx(5 / 4 * h * over - 0.4 * over - within, rel=1e-6)
    assert found[1:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("counts", "dimension"), [((9, 6, 4), 3), ((7, 5, 1, 2), 4), ((6, 3), 1), ((5, 4, 3), 2)])
def test_the_influence_on_the_h_score_is_the_value_less_that_without_the_row(
    counts: tuple[int, ...], dimension: int
) -> None:
    features, labels = classes_of(counts, dimension)
    n = labels.size

    def value(rows: np.ndarray) -> float:
        total, within = scatters(features[rows], labels[rows])
        return float(np.trace(np.linalg.solve(total, total - within)))

    found = h_score.estimate(input_of(features, labels))
    assert found.value == found.raw == pytest.approx(value(np.arange(n)), rel=1e-9)
    assert found.influence is not None
    assert found.influence().whole
    expected = [(found.value - value(np.delete(np.arange(n), i))) * (1 - 1 / n) for i in range(n)]
    np.testing.assert_allclose(found.influence().changes, expected, rtol=1e-7, atol=1e-10)


def test_the_h_score_never_exceeds_classes_less_one_nor_the_rank() -> None:
    found = np.array([scores.score("h_score", *classes_of((5, 4, 3), 20, seed)) for seed in range(20)])
    assert found.max() == 2.0
    np.testing.assert_allclose(found, 2.0, rtol=1e-9)
    features, labels = np.arange(4.0)[:, None], np.arange(4)
    assert scores.score("h_score", features, labels) == 1.0


@pytest.mark.parametrize("name", ["h_score", "regularized_h_score"])
def test_features_that_do_not_vary_are_worth_nothing(name: str) -> None:
    estimate = scores.describe(name).estimate(input_of(np.full((12, 3), 2.0), np.arange(12) % 2))
    assert (estimate.value, estimate.raw) == (0.0, 0.0)
    if name == "h_score":
        assert estimate.influence is not None
        assert estimate.influence().changes.tolist() == [0.0] * 12
    else:
        assert estimate.influence is None


@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0])
@pytest.mark.parametrize(("counts", "dimension"), [((9, 6, 4), 3), ((4, 3, 2), 12), ((30, 1), 5)])
def test_the_shrinkage_is_scikit_learns_at_every_scale(counts: tuple[int, ...], dimension: int, scale: float) -> None:
    features = scale * classes_of(counts, dimension)[0]
    expected = ledoit_wolf_shrinkage(features)
    assert 0 < expected < 1
    assert ledoit_wolf_intensity(FeatureStatistics().update(features)) == pytest.approx(expected, rel=1e-8)


def crosses(n: int, axes: np.ndarray) -> np.ndarray:
    """Rows at plus and minus each of the `axes` (D, D), equally often."""
    return np.tile(np.r_[axes, -axes], (n // (2 * axes.shape[0]), 1))


def test_the_shrinkage_stays_between_its_ends() -> None:
    def intensity(features: np.ndarray) -> float:
        return ledoit_wolf_intensity(FeatureStatistics().update(features))

    generator = np.random.default_rng(0)
    assert intensity(np.full((5, 3), 2.0)) == 1.0
    # Nothing that rounding brings about is taken for a covariance that differs from a multiple of the identity.
    for scale in generator.uniform(0.1, 10.0, size=40):
        for dimension in (2, 3, 6):
            assert intensity(crosses(12, scale * np.eye(dimension))) == 0.0
        assert intensity(scale * generator.normal(size=(7, 1))) == 0.0
    # One that differs by more than rounding, but by less than its noise, is shrunk all the way.
    assert intensity(crosses(400, np.diag([1.0, 1.0 + 1.2e-7]))) == 1.0
    # Two rows are equally far from their mean: no noise at all, and none below zero.
    found = [intensity(generator.normal(size=(2, 3))) for _ in range(40)]
    assert min(found) == 0.0
    assert max(found) < 1e-12
    # Where all that is left of far larger sums is rounding, nothing varies.
    far = 1e6 + np.r_[np.zeros((1, 4)), 0.04 * generator.normal(size=(20, 4))]
    origin = FeatureStatistics().update(np.zeros((1, 4)))
    statistics = (origin + FeatureStatistics().update(far)) - origin
    trace, rounding = float(np.trace(statistics.scatter_lower())), rounding_of(statistics)
    assert rounding / 2 < trace < 2 * rounding
    assert ledoit_wolf_intensity(statistics) == 1.0


def weighted_intensity(x: np.ndarray, weights: np.ndarray) -> float:
    """Ledoit and Wolf's intensity of rows of these weights, divided by their number."""
    n, dimension = x.shape
    away = x - weights @ x / weights.sum()
    s = (away.T * weights) @ away / n
    noise = (weights @ (away**2).sum(axis=1) ** 2 / n - (s**2).sum()) / n
    return float(noise / ((s**2).sum() - np.trace(s) ** 2 / dimension))


@pytest.mark.parametrize(("n", "dimension"), [(40, 4), (9, 20), (15, 2)])
def test_the_influence_on_the_shrinkage_is_its_derivative_by_the_rows_weight(n: int, dimension: int) -> None:
    features = classes_of((n,), dimension)[0]
    x = features - features.mean(axis=0)
    intensity = weighted_intensity(x, np.ones(n))
    assert 0.01 < intensity < 1
    found = _intensity_influence(intensity, np.asfortranarray(np.tril(x.T @ x)), x, n)
    step = 1e-5 * np.eye(n)
    expected = np.array([weighted_intensity(x, 1 + s) - weighted_intensity(x, 1 - s) for s in step]) / 2e-5
    scale = expected.std()
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), rtol=1e-5, atol=1e-6 * scale)
    assert _intensity_influence(0.0, np.asfortranarray(np.tril(x.T @ x)), x, n).tolist() == [0.0] * n


@pytest.mark.parametrize(("counts", "dimension"), [((9, 6, 4), 3), ((7, 5, 1, 2), 4), ((4, 3, 2), 12), ((6, 5), 1)])
def test_the_influence_on_the_regularised_h_score_is_made_of_its_three_parts(
    counts: tuple[int, ...], dimension: int
) -> None:
    features, labels = classes_of(counts, dimension)
    n = labels.size
    total, within = scatters(features, labels)
    between, x = total - within, features - features.mean(axis=0)
    intensity = ledoit_wolf(features)[1]
    variance = np.trace(total) / n / dimension

    def value(a: float, v: float) -> float:
        """The score with another intensity and another mean variance, in the identity's place alone."""
        shrunk = (1 - a) * total / n + a * v * np.eye(dimension)
        return float((1 - a) * np.trace(np.linalg.solve(shrunk, between)) / (n - 1))

    found = regularized_h_score.estimate(input_of(features, labels))
    assert found.value == found.raw == pytest.approx(value(intensity, variance), rel=1e-8)
    inverse = np.linalg.inv((1 - intensity) * total / n + intensity * variance * np.eye(dimension))
    lost = []
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        total_left, within_left = scatters(features[rest], labels[rest])
        changed = np.linalg.inv(np.linalg.inv(inverse) - (1 - intensity) / n * np.outer(x[i], x[i]))
        lost.append(np.trace(inverse @ between) - np.trace(changed @ (total_left - within_left)))
    by_intensity = (value(intensity + 1e-6, variance) - value(intensity - 1e-6, variance)) / 2e-6
    by_variance = (value(intensity, 1.0001 * variance) - value(intensity, 0.9999 * variance)) / (2e-4 * variance)
    step = 1e-5 * np.eye(n)
    if dimension == 1:
        assert intensity == 0
        moved = np.zeros(n)
    else:
        moved = np.array([weighted_intensity(x, 1 + s) - weighted_intensity(x, 1 - s) for s in step]) / 2e-5
    expected = (1 - intensity) / (n - 1) * np.array(lost)
    expected += by_intensity * moved + by_variance * (x**2).sum(axis=1) / n / dimension
    assert found.influence is not None
    influence = found.influence()
    assert influence.whole
    expected -= expected.mean()
    np.testing.assert_allclose(
        influence.changes - influence.changes.mean(), expected, rtol=1e-4, atol=1e-5 * expected.std()
    )


def test_a_strong_shrinkage_is_not_a_full_one() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(20) % 2
    features = generator.normal(size=(20, 40)) + labels[:, None]
    shrunk, intensity = ledoit_wolf(features)
    assert 0.5 < intensity < 1
    means = np.stack([features[labels == c].mean(axis=0) for c in range(2)])[labels]
    expected = (1 - intensity) * np.trace(np.linalg.inv(shrunk) @ np.cov(means.T))
    assert scores.score("regularized_h_score", features, labels) == pytest.approx(expected, rel=1e-8)
    # All the way: the factor 1 - a is zero, and there is nothing to draw anew.
    found = regularized_h_score.estimate(input_of(crosses(400, np.diag([1.0, 1.0 + 1.2e-7])), np.arange(400) % 2))
    assert (found.value, found.raw, found.influence) == (0.0, 0.0, None)


def test_without_shrinkage_rounding_alone_is_added_to_the_covariance() -> None:
    features, labels = classes_of((600, 400), 1)
    total, within = scatters(features, labels)
    expected = (total - within).item() / 999 / (total.item() / 1000)
    assert scores.score("regularized_h_score", features, labels) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["logme", "h_score", "regularized_h_score"])
def test_the_influence_of_1024_rows_stands_for_all(name: str) -> None:
    assert INTERVAL_ROWS == 1024
    features, labels = classes_of((700, 500), 3)
    influence = scores.describe(name).estimate(input_of(features, labels)).influence
    assert influence is not None
    assert influence().whole
    assert influence().index.tolist() == stratified_sample(labels, 1200, 1024).tolist()


def shards_of(
    features: np.ndarray, outputs: np.ndarray, probabilities: np.ndarray | None = None
) -> tuple[FeatureStatistics, list[Shard]]:
    """The rows in shards of unequal sizes, one of them a single row."""
    cuts = [slice(0, 3), slice(3, 4), slice(4, 11), slice(11, None)]
    known = [None if probabilities is None else probabilities[c] for c in cuts]
    shards = [scores.shard_of(features[c], outputs[c], p) for c, p in zip(cuts, known, strict=True)]
    return sum((shard.statistics() for shard in shards), FeatureStatistics()), shards


@pytest.mark.parametrize("classes", [True, False])
def test_rows_are_read_from_where_they_lie(classes: bool) -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(20, 6)), generator.integers(3, size=20) * 10
    targets = generator.normal(size=(20, 2))
    probabilities = generator.dirichlet(np.ones(4), size=20)
    statistics, shards = shards_of(features, labels if classes else targets, probabilities if classes else None)
    data = ScoringInput(statistics, shards)
    codes = labels // 10
    assert (data.n, data.dimension, data.class_count) == (20, 6, 3 if classes else 2)
    assert (data.is_classification, data.has_rows) == (classes, True)
    for largest in (7, 15, 20, 99):
        rows = data.rows(largest)
        size = min(largest, 20)
        index = stratified_sample(codes if classes else None, 20, size)
        assert rows.index.tolist() == index.tolist()
        np.testing.assert_array_equal(rows.features, features[index])
        np.testing.assert_array_equal(rows.outputs, np.eye(3)[codes[index]] if classes else targets[index])
        assert rows is data.rows(largest)
        if classes:
            assert rows.codes is not None
            assert rows.codes.tolist() == codes[index].tolist()
        else:
            assert rows.codes is None
    np.testing.assert_array_equal(np.concatenate(list(data.feature_blocks())), features)
    if classes:
        blocks = list(data.probability_blocks())
        np.testing.assert_allclose(np.concatenate([block for block, _ in blocks]), probabilities)
        assert [block.shape[0] for block, _ in blocks] == [found.size for _, found in blocks]
        assert np.concatenate([found for _, found in blocks]).tolist() == codes.tolist()
        assert data.codes is not None
        assert data.codes.tolist() == codes.tolist()
    else:
        assert data.codes is None
        with pytest.raises(ScoreNotApplicable):
            next(data.probability_blocks())


def test_as_many_rows_as_features_are_all_looked_at() -> None:
    for n, expected in ((7, 7), (8, 8), (9, 5)):
        assert input_of(*classes_of((n - 2, 2), 8)).fitted_rows(5).index.size == expected


def test_which_columns_are_scored() -> None:
    features = np.random.default_rng(0).normal(size=(4, 3))
    once = scores.statistics_of(features, np.array([0, 0, 0, 5]))
    assert occurring_columns(once).tolist() == [True, True]
    gone = once - scores.statistics_of(features[3:], np.array([5]))
    for statistics in (FeatureStatistics(), FeatureStatistics().update(features), gone):
        with pytest.raises(NothingToSeparate):
            occurring_columns(statistics)
    real = scores.statistics_of(features, features[:, :2])
    assert occurring_columns(real).tolist() == [True, True]
    assert occurring_columns(scores.statistics_of(features[:1], features[:1, :1])).tolist() == [True]
    with pytest.raises(NothingToSeparate):
        occurring_columns(real - real)


def test_real_targets_must_vary_at_any_scale() -> None:
    features = np.random.default_rng(0).normal(size=(12, 3))
    varying = 5.0 + np.arange(12.0)
    for targets in (varying, 1e-9 * varying, 1e9 * varying, -varying):
        require_varying_targets(scores.statistics_of(features, np.c_[targets, varying]))
    for constant in (0.0, 1.0, 7.3, -1e-4, 1e6):
        with pytest.raises(InvalidFeatures):
            require_varying_targets(scores.statistics_of(features, np.c_[varying, np.full(12, constant)]))


def scored(optimism: float, influence: Influence | None, value: float = 0.5) -> ScoreValue:
    """What an evaluation makes of an estimate."""
    estimate = Estimate(value, value, None if influence is None else lambda: influence, optimism)
    described = scores.describe("energy")
    score = Score(
        **{key: item for key, item in vars(described).items() if key not in {"estimate", "lowest", "highest"}},
        estimate=lambda data: estimate,
    )
    data = input_of(np.arange(12.0)[:, None], np.arange(12) % 2)
    return evaluate_input([score], data)["energy"]


def test_a_value_is_unreliable_where_it_is_too_high_by_more_than_its_interval() -> None:
    assert Estimate(1.0, 1.0, None).optimism == 0.0
    for optimism, unreliable in ((0.03, False), (0.05, False), (0.051, True), (0.09, True)):
        found = scored(optimism, None)
        assert (found.unreliable, found.low, found.high) == (unreliable, None, None)
    influence = Influence(np.resize([0.1, -0.1, 0.05, -0.05, 0.0, 0.02], 12))
    low = scored(0.0, influence).low
    assert low is not None
    assert 0.05 < 0.5 - low < 1.0
    # The twelve rows are their own groups: each moves the value by its change times n / (n - 1).
    changes = influence.changes - influence.changes.mean()
    error = np.sqrt(11 / 12 * np.sum((changes * 12 / 11) ** 2))
    assert 0.5 - low == pytest.approx(error * student.ppf(0.975, 11), rel=0.3)
    for optimism, unreliable in ((0.0, False), (0.5 - low, False), (0.501 - low, True), (0.499 - low, False)):
        assert scored(optimism, influence).unreliable == unreliable


def test_real_targets_are_left_to_the_scores_that_take_them() -> None:
    data = input_of(np.random.default_rng(0).normal(size=(12, 2)), np.arange(12.0))
    found = evaluate_input([scores.describe("h_score"), scores.describe("logme")], data)
    assert (list(found), list(found.not_applicable)) == (["logme"], ["h_score"])


def test_an_evaluation_of_no_scores_is_empty() -> None:
    assert dict(evaluate_input([], input_of(*classes_of((3, 3), 2)))) == {}


def test_a_value_is_not_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        ScoreValue(value=0.5).value = 1.0  # type: ignore[misc]


def test_a_value_that_is_no_number_is_refused() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(InvalidFeatures):
            scored(0.0, None, value)
