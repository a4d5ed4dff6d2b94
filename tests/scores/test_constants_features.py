"""Constants and terms of what rows add to SFDA, TransRate, PARC, N-LEEP, LEEP, NCE and the energy.

Derivatives by a row's weight are differences of the score with weights, written out; the rest are loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from frontrunner import FeatureStatistics, scores
from frontrunner.scores.n_leep import _principal_components
from frontrunner.scores.parc import _correlation, row_correlations
from frontrunner.scores.score import Estimate
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.sfda import SelfChallenging, _leading_direction, adaptive_shrinkage
from frontrunner.scores.transrate import EPSILON, _left_out
from tests.scores.inputs import separable


def estimate_of(name: str, data: dict[str, Any], shards: int = 1) -> Estimate:
    """A score with what its rows add."""
    parts = np.array_split(np.arange(len(data["labels"])), shards)
    found = [scores.shard_of(**{key: values[part] for key, values in data.items()}) for part in parts]
    with np.errstate(all="raise", under="ignore"):
        return scores.describe(name).estimate(ScoringInput(scores.shard_of(**data).statistics(), found))


def changes_of(name: str, data: dict[str, Any], shards: int = 1) -> np.ndarray:
    """What each row adds."""
    found = estimate_of(name, data, shards).influence
    assert found is not None
    with np.errstate(all="raise", under="ignore"):
        return found().changes


def by_weight(value: Callable[[np.ndarray], float], n: int, step: float = 1e-4) -> np.ndarray:
    """(n,) the derivatives of a score of n weighted rows at weights 1."""
    found = []
    for row in range(n):
        moved = step * (np.arange(n) == row)
        found.append((value(1 + moved) - value(1 - moved)) / (2 * step))
    return np.array(found)


def unequal(n: int, dimension: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of unequal size, about their common mean."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], [n - n // 2, n // 2 - n // 5, n // 5])
    centres = generator.normal(size=(3, dimension)) / np.sqrt(dimension)
    features = scale * (generator.normal(size=(n, dimension)) * np.linspace(1.0, 0.4, dimension) + centres[labels])
    return features - features.mean(axis=0), labels


def weighted_sfda(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """SFDA of rows that count by their weights."""
    classes, dimension = labels.max() + 1, features.shape[1]
    share = weights / weights.sum()
    shrinkage = 0.0

    def discriminant(rows: np.ndarray, shrinkage: float | None) -> tuple[np.ndarray, np.ndarray, float]:
        means = np.array([np.average(rows[labels == c], axis=0, weights=weights[labels == c]) for c in range(classes)])
        inner = rows - means[labels]
        within = (share[:, None] * inner).T @ inner
        if shrinkage is None:
            shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
        mixed = (1 - shrinkage) * within + shrinkage * np.trace(within) / dimension * np.eye(dimension)
        directions = np.linalg.solve(mixed, means.T)
        prior = np.log([share[labels == c].sum() for c in range(classes)])
        logit = rows @ directions - 0.5 * np.einsum("cd,dc->c", means, directions) + prior
        return means, softmax(logit, axis=1), shrinkage

    every = np.arange(labels.size), labels
    means, posterior, shrinkage = discriminant(features, None)
    sure = softmax(posterior, axis=1)[every][:, None]
    others = np.array([np.delete(means, c, axis=0).mean(axis=0) for c in range(classes)])
    posterior = discriminant(sure * features + (1 - sure) * others[labels], shrinkage)[1]
    return float(share @ posterior[every])


@pytest.mark.parametrize(
    ("n", "dimension", "scale", "last"),
    [
        (40, 4, 0.5, 1.0),
        (40, 1, 0.4, 1.0),
        (90, 70, 0.4, 1.0),
        (25, 40, 0.4, 1.0),
        # The least shrinkage, which no row changes, and a feature that hangs on it.
        (40, 4, 8.0, 1e-5),
    ],
)
def test_the_influence_on_sfda_is_its_derivative_by_the_rows_weights(
    n: int, dimension: int, scale: float, last: float
) -> None:
    features, labels = unequal(n, dimension, scale)
    features[:, -1] *= last
    expected = by_weight(lambda weights: weighted_sfda(features, labels, weights), n)
    found = changes_of("sfda", {"features": features, "labels": labels})
    value = scores.score("sfda", features, labels)
    assert value == pytest.approx(weighted_sfda(features, labels, np.ones(n)), rel=1e-6)
    # Of a mean of terms each row's share counts from zero, in the derivative from the mean.
    tolerance = 2e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found - found.mean(), expected, atol=tolerance)


def test_sfda_of_features_without_spread() -> None:
    labels = np.repeat([0, 1], 4)
    assert adaptive_shrinkage(np.zeros((8, 3)), labels) == 1.0
    assert scores.score("sfda", np.zeros((8, 3)), labels) == pytest.approx(0.5)
    # Classes of copies: the nearest mean has all of the probability, then all but a half by the second discriminant.
    features = np.where(labels[:, None] > 0, [1.0, -2.0, 0.5], [0.0, 0.0, 0.0])
    assert adaptive_shrinkage(features, labels) == 1.0
    assert scores.score("sfda", features, labels) == pytest.approx(1.0)


@pytest.mark.parametrize("spread", [0.0, 3e-8, 3e-6])
def test_the_discriminant_of_sfda_has_a_trillionth_of_the_square_where_classes_have_less_spread(spread: float) -> None:
    labels = np.repeat([0, 1], 3)
    generator = np.random.default_rng(0)
    features = np.array([[-1e-6, 2.0], [1e-6, 2.0]])[labels] + spread * generator.normal(size=(6, 2))
    means = np.array([features[labels == c].mean(axis=0) for c in (0, 1)])
    within = (features - means[labels]).T @ (features - means[labels]) / 6
    floor = 1e-12 * (features**2).mean()
    variance = np.trace(within) / 2
    mixed = 0.7 * within + (floor if variance <= floor else 0.3 * variance) * np.eye(2)
    directions = np.linalg.solve(mixed, means.T)
    logit = features @ directions - 0.5 * np.einsum("cd,dc->c", means, directions)
    found = SelfChallenging.of(features, labels, 0.3).first.posterior
    np.testing.assert_allclose(found, softmax(logit, axis=1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dimension", [1, 5, 64, 65, 80])
def test_the_leading_direction_is_the_first_principal_axis(dimension: int) -> None:
    rows = np.random.default_rng(0).normal(size=(90, dimension)) * np.r_[3.0, np.ones(dimension - 1)]
    found = _leading_direction(rows)
    expected = np.linalg.svd(rows)[2][0]
    assert abs(found @ expected) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1.0)


def log_det(rows: np.ndarray, n: int) -> float:
    """log det (I + F'F / (n eps)), twice the coding rate."""
    return float(np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (n * EPSILON))[1])


@pytest.mark.parametrize(("n", "dimension"), [(12, 3), (5, 4), (4, 4), (5, 9), (2, 1), (2, 3), (30, 1)])
def test_the_coding_rate_without_a_row_is_that_of_the_rest(n: int, dimension: int) -> None:
    raw = 0.05 * np.random.default_rng(n).normal(size=(n, dimension)) + 0.02
    for centred in (True, False):
        features = raw - raw.mean(axis=0) if centred else raw
        found, along = _left_out(features, centred=centred)
        a = np.eye(dimension) + features.T @ features / (n * EPSILON)
        np.testing.assert_allclose(along, np.linalg.solve(a, features.mean(axis=0)), rtol=1e-7, atol=1e-9)
        expected = []
        for i in range(n):
            rest = np.delete(features, i, axis=0)
            rest = rest - rest.mean(axis=0) if centred else rest
            # The n that it is divided by falls as well: to first order by the trace of F'F A^-1 / (n eps), over n.
            by_n = np.trace(np.linalg.solve(a, features.T @ features)) / (n * EPSILON) / n
            expected.append(log_det(features, n) - log_det(rest, n) - by_n)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    one = _left_out(raw[:1], centred=False)[0]
    alone = log_det(raw[:1], 1)
    np.testing.assert_allclose(one, alone - (1 - np.exp(-alone)), rtol=1e-9)


@pytest.mark.parametrize("dimension", [3, 20])
def test_the_influence_on_transrate_is_of_its_terms_and_of_the_common_mean(dimension: int) -> None:
    features, labels = unequal(30, dimension, 0.03)
    found = changes_of("transrate", {"features": features + 4.0, "labels": labels})
    expected = _left_out(features, centred=True)[0] / 2
    for c in range(3):
        rows = features[labels == c]
        a = np.eye(dimension) + rows.T @ rows / (len(rows) * EPSILON)
        expected[labels == c] -= _left_out(rows, centred=False)[0] / 2 / 3
        # A row f of weight w moves the mean by w f / n, and R(F_c) by -(m_c)'A^-1 of that, over eps; without it back.
        along = features @ np.linalg.solve(a, rows.mean(axis=0)) / (30 * EPSILON)
        expected += along / 3
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_transrate_of_two_rows_far_apart_has_a_finite_influence() -> None:
    for far in ([[1e6]], [[1e8]], [[1e9]], [[3e9]], [[1e6, 3e6]]):
        features = np.r_[np.zeros_like(far), far]
        assert np.isfinite(changes_of("transrate", {"features": features, "labels": np.array([0, 1])})).all()


@pytest.mark.parametrize("seed", range(4))
def test_parc_of_few_rows_with_and_without_each(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Whole numbers: many distances tie, some rows and columns do not vary.
    features, labels = generator.integers(0, 2, size=(8, 4)).astype(float), np.array([0, 0, 0, 1, 1, 2, 2, 2])
    first, second = np.triu_indices(8, 1)
    with np.errstate(all="raise"):
        distance = np.round(1 - row_correlations(features)[first, second], 9)
    ranks, different = rankdata(distance), labels[first] != labels[second]

    def correlation(pairs: np.ndarray) -> float:
        return 100 * float(np.corrcoef(ranks[pairs], different[pairs])[0, 1])

    data = {"features": features, "labels": labels}
    assert scores.score("parc", **data) == pytest.approx(correlation(np.full(28, True)), rel=1e-9)
    without = np.array([correlation((first != row) & (second != row)) for row in range(8)])
    np.testing.assert_allclose(changes_of("parc", data), (without.mean() - without) * 7 / 8, rtol=1e-9, atol=1e-9)


def test_a_correlation_from_sums_is_pearsons_and_zero_where_either_is_constant() -> None:
    for ranks, different in (
        ([-0.5, -0.5, 1.0], [0, 1, 0]),
        ([-0.5, -0.5, 1.0], [1, 1, 0]),
        ([-1.5, -0.5, 0.5, 1.5], [0, 0, 1, 1]),
        ([2.5, 2.5, 3.0, 1.0], [0, 1, 1, 0]),
    ):
        r, d = np.array(ranks), np.array(different)
        sums = np.array([r.size, r.sum(), (r**2).sum(), d.sum(), r @ d])
        assert _correlation(sums) == pytest.approx(np.corrcoef(r, d)[0, 1])
    for constant in ([0, 0, 0, 0, 0], [1, 0.5, 0.25, 1, 0.5], [3, 0, 2, 3, 0], [3, 0, 2, 0, 0], [3, 3, 3, 1, 1]):
        assert _correlation(np.array(constant, dtype=float)) == 0.0


def test_columns_and_rows_that_do_not_vary_correlate_with_none() -> None:
    generator = np.random.default_rng(0)
    # Powers of two keep the standardised columns alike to the last digit.
    varying = generator.normal(size=(9, 3))
    features = np.c_[varying, np.full((9, 3), [0.1, 0.0, 1000.1])]
    standard = np.c_[(varying - varying.mean(axis=0)) / varying.std(axis=0), np.zeros((9, 3))]
    with np.errstate(all="raise"):
        np.testing.assert_allclose(row_correlations(features), np.corrcoef(standard), atol=1e-12)
        np.testing.assert_allclose(row_correlations(1e-7 * features), np.corrcoef(standard), atol=1e-9)
        assert not row_correlations(varying[:, :1]).any()
        assert not row_correlations(varying[:, [0, 0]]).any()
    # The columns hold the same numbers in another order, but for the first row: it does not vary, but for rounding.
    for _ in range(20):
        column = generator.normal(size=9)
        found = row_correlations(
            np.stack([np.r_[column[0], generator.permutation(column[1:])] for _ in range(3)], axis=1)
        )
        assert not found[0].any()
        assert found.any()


def weighted_leep(theta: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """LEEP of rows that count by their weights."""
    joint = np.array([weights[labels == c] @ theta[labels == c] for c in range(labels.max() + 1)])
    conditional = joint / joint.sum(axis=0)
    return float(np.average(np.log((conditional[labels] * theta).sum(axis=1)), weights=weights))


def test_the_influence_on_leep_is_its_derivative_by_the_rows_weights() -> None:
    data = separable(40, 2, 4)
    labels, rare = data["labels"], np.random.default_rng(1).random((40, 1)) / 50
    theta = np.hstack([(1 - rare) * data["source_probabilities"], rare])  # a source class of less than one example
    wider = np.hstack([theta, np.zeros((40, 2))])  # two source classes that are never predicted
    expected = by_weight(lambda weights: weighted_leep(theta, labels, weights), 40)
    for predictions, shards in ((theta, 1), (wider, 3)):
        found = changes_of("leep", {**data, "source_probabilities": predictions}, shards)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_the_optimism_of_leep_and_nce_is_millers_of_the_source_classes_in_use() -> None:
    data = separable(40, 2, 4)
    rare = np.full((40, 1), 0.01)
    theta = np.hstack([(1 - rare) * data["source_probabilities"], rare, np.zeros((40, 2))])
    hat = theta[:, :7] / theta[:, :7].sum(axis=0) @ theta[:, :7].T
    expected = np.trace(hat) * 3 / (2 * 40)
    assert estimate_of("leep", {**data, "source_probabilities": theta}).optimism == pytest.approx(expected)
    used = np.unique(theta.argmax(axis=1)).size
    assert estimate_of("nce", {**data, "source_probabilities": theta}).optimism == pytest.approx(used * 3 / 80)
    assert estimate_of("n_leep", data).optimism == 0.0


def test_the_influence_on_nce_is_its_derivative_by_the_rows_weights() -> None:
    data = separable(40, 2, 4)
    theta, labels = data["source_probabilities"], data["labels"]
    top = np.eye(6)[theta.argmax(axis=1)][:, np.unique(theta.argmax(axis=1))]
    expected = by_weight(lambda weights: weighted_leep(top, labels, weights), 40)
    np.testing.assert_allclose(changes_of("nce", data), expected, rtol=1e-5, atol=1e-9)
    # Sums that know no source classes leave counting to the rows.
    shards = [
        scores.shard_of(**{key: values[part] for key, values in data.items()}) for part in np.split(np.arange(40), 4)
    ]
    counted = scores.describe("nce").estimate(
        ScoringInput(FeatureStatistics().update(data["features"], labels), shards)
    )
    assert counted.influence is not None
    assert counted.value == pytest.approx(weighted_leep(top, labels, np.ones(40)), rel=1e-9)
    np.testing.assert_allclose(counted.influence().changes, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["leep_cross_fitted", "nce_cross_fitted"])
def test_a_row_adds_to_the_cross_fitted_scores_by_its_term_and_by_the_others(name: str) -> None:
    data = separable(24, 2, 3)
    theta, labels, n, a = data["source_probabilities"], data["labels"].copy(), 24, 3 / 2
    labels[:5] = 0
    if name == "nce_cross_fitted":
        theta = np.eye(6)[theta.argmax(axis=1)]
    share = [(np.sum(labels == c) - 1 + 0.5) / (n - 1 + a) for c in range(3)]
    mass = theta.sum(axis=0)
    of_class = np.array([theta[labels == c].sum(axis=0) + a * share[c] for c in range(3)])
    conditional = of_class / (mass + a)
    predicted = np.array([theta[i] @ ((of_class[labels[i]] - theta[i]) / (mass + a - theta[i])) for i in range(n)])
    expected = []
    for j in range(n):
        moved = 0.0
        for i in range(n):
            hit = float(labels[i] == labels[j])
            if i != j:
                # The counts that predict i gain theta_j.
                pull = theta[j] * (hit - conditional[labels[i]]) / (mass + a)
                moved += float(theta[i] @ pull) / predicted[i]
            # Its class becomes more frequent.
            moved += hit * float(theta[i] @ (a / (mass + a))) / (n + a) / predicted[i]
        expected.append((np.log(predicted[j]) + moved) / n)
    for shards in (1, 3):
        found = changes_of(name, {**data, "labels": labels}, shards)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert scores.score(name, **{**data, "labels": labels}) == pytest.approx(np.log(predicted).mean(), rel=1e-9)


@pytest.mark.parametrize(("n", "dimension"), [(60, 5), (25, 5), (40, 60)])
def test_other_starts_of_n_leep_are_mixtures_of_the_next_seeds(n: int, dimension: int) -> None:
    data = separable(n, dimension, 2)
    labels = data["labels"]
    components = PCA(0.8, svd_solver="full").fit_transform(data["features"])
    components /= components.std(axis=0)[0]
    theta = [
        GaussianMixture(min(10, n // 10), covariance_type="diag", random_state=seed)
        .fit(components)
        .predict_proba(components)
        for seed in range(4)
    ]
    found = estimate_of("n_leep", {"features": data["features"], "labels": labels})
    values = [weighted_leep(t, labels, np.ones(n)) for t in theta]
    assert found.value == pytest.approx(values[0], rel=1e-6)
    assert found.influence is not None
    influence = found.influence()
    np.testing.assert_allclose(influence.starts, values[1:], rtol=1e-6)
    assert n > 40 or max(values) > min(values)
    expected = by_weight(lambda weights: weighted_leep(theta[0], labels, weights), n)
    np.testing.assert_allclose(influence.changes, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (8, 8)])
def test_principal_components_are_the_fewest_that_hold_a_share_of_the_variance(shape: tuple[int, int]) -> None:
    features = np.random.default_rng(0).normal(size=shape) * np.linspace(0.3, 2.0, shape[1]) + 5.0
    centred = features - features.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    held = np.cumsum(singular**2) / np.sum(singular**2)
    for kept in (0.3, 0.8, 0.95):
        count = int(np.argmax(held >= kept)) + 1
        found = _principal_components(features, kept)
        expected = left[:, :count] * singular[:count] * np.sqrt(shape[0]) / singular[0]
        assert found.shape == expected.shape
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_features_that_do_not_vary_have_no_principal_component_and_are_one_cluster() -> None:
    with np.errstate(all="raise"):
        for value in (0.0, 0.1, -0.1, -3.7, -1000.1, 1e-5):
            for n in (7, 41, 43):
                assert _principal_components(np.full((n, 3), value), 0.8).shape == (n, 0)
    labels = np.repeat([0, 1], [13, 28])
    entropy = -np.log([13 / 41, 28 / 41]) @ [13 / 41, 28 / 41]
    assert scores.score("n_leep", np.full((41, 3), 0.1), labels) == pytest.approx(-entropy)
    # Fewer rows than the ten of a cluster.
    few = separable(8, 3, 2)
    assert scores.score("n_leep", few["features"], few["labels"]) == pytest.approx(-np.log(2))


def test_the_influence_on_the_energy_is_that_on_a_mean() -> None:
    data = separable(20, 5, 2)
    parts = [scores.shard_of(data["features"][part], data["labels"][part]) for part in np.split(np.arange(20), 4)]
    whole = scores.shard_of(data["features"], data["labels"]).statistics()
    found = scores.describe("energy").estimate(ScoringInput(whole, parts))
    terms = np.log(np.exp(data["features"]).sum(axis=1))
    assert found.value == pytest.approx(terms.mean())
    assert found.raw == pytest.approx(-terms.mean())
    assert found.influence is not None
    np.testing.assert_allclose(found.influence().changes, (terms - terms.mean()) / 20, atol=1e-12)


@pytest.mark.parametrize("name", ["knn", "lda", "linear_probe", "n_leep", "parc", "sfda", "transrate"])
def test_a_score_reads_as_many_rows_as_its_docstring_says(name: str) -> None:
    score = scores.describe(name)
    assert f"at most {score.largest_sample:,} rows" in (score.estimate.__doc__ or "")
    assert f"at most {score.largest_sample:,} rows" in score.cost
