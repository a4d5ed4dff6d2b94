"""Constants and terms of the scores that read rows, against scikit-learn, scipy, or the formula written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import inv
from scipy.special import softmax
from scipy.stats import entropy, rankdata, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from frontrunner import FeatureStatistics, scores
from frontrunner.scores.parc import row_correlations
from frontrunner.scores.sampling import GROUPS, SEED, stratified_folds, stratified_sample
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.sfda import adaptive_shrinkage
from tests.scores.inputs import separable


def replicates(name: str, data: dict[str, Any]) -> np.ndarray:
    """The value without each group."""
    shard = scores.shard_of(**data)
    return np.array(scores.evaluate([name], shard.statistics(), [shard])[name].replicates)


def groups_of(data: dict[str, Any]) -> np.ndarray:
    """The group of each row."""
    shard = scores.shard_of(**data)
    return ScoringInput(shard.statistics(), [shard]).groups


# Five components a class bind where there are many rows, a component for ten rows where there are few.
@pytest.mark.parametrize(("n", "dimension", "classes", "mixture"), [(200, 6, 2, 10), (90, 6, 3, 9), (40, 60, 2, 4)])
def test_n_leep_is_leep_of_scikit_learns_mixture_on_scikit_learns_components(
    n: int, dimension: int, classes: int, mixture: int
) -> None:
    data = separable(n, dimension, classes)
    scale = 1e-3 * np.linspace(2.0, 0.5, dimension)
    features, labels = data["features"] * scale, data["labels"]
    components = PCA(0.8, svd_solver="full").fit_transform(features)
    assert 1 < components.shape[1] < min(n, dimension) - 1
    components /= components.std(axis=0)[0]
    model = GaussianMixture(mixture, covariance_type="diag", random_state=0).fit(components)
    theta = model.predict_proba(components)
    joint = np.array([theta[labels == c].sum(axis=0) for c in range(classes)])
    expected = np.log((theta * (joint / joint.sum(axis=0))[labels]).sum(axis=1)).mean()
    assert scores.score("n_leep", features, labels) == pytest.approx(expected, rel=1e-6)


def test_n_leep_of_fewer_than_twenty_rows_is_minus_the_entropy_of_the_labels() -> None:
    data = separable(19, 4, 2)
    share = np.bincount(data["labels"]) / 19
    assert scores.score("n_leep", data["features"], data["labels"]) == pytest.approx(-entropy(share))


@pytest.mark.parametrize("seed", range(3))
def test_nce_is_minus_the_entropy_of_the_labels_plus_their_mutual_information_with_the_top_class(seed: int) -> None:
    data = separable(150, 2, 4, seed=seed)
    labels, top = data["labels"], data["source_probabilities"].argmax(axis=1)
    expected = mutual_info_score(labels, top) - entropy(np.bincount(labels))
    assert scores.score("nce", **data) == pytest.approx(expected, rel=1e-9)
    # Sums that know no source classes leave counting to the rows.
    shard = scores.shard_of(**data)
    counted = scores.evaluate(["nce"], FeatureStatistics().update(data["features"], labels), [shard])["nce"]
    assert counted.value == pytest.approx(expected, rel=1e-9)
    # Fewer rows than source classes.
    few = scores.shard_of(data["features"][:4], labels[:4], data["source_probabilities"][:4])
    counted = scores.evaluate(["nce"], FeatureStatistics().update(data["features"][:4], labels[:4]), [few])["nce"]
    expected = mutual_info_score(labels[:4], top[:4]) - entropy(np.bincount(labels[:4]))
    assert counted.value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["leep", "nce", "leep_cross_fitted", "nce_cross_fitted", "gbc", "h_score", "transrate"]
)
def test_replicates_lie_around_the_value(name: str) -> None:
    data = separable(GROUPS * 6, 5, 3)
    found = replicates(name, data)
    assert found.mean() == pytest.approx(scores.score(name, **data), abs=0.05 * found.std())


def folds_of(labels: np.ndarray) -> np.ndarray:
    """Five folds, dealt in turn, class by class."""
    fold = np.empty(labels.size, dtype=int)
    fold[np.argsort(labels, kind="stable")] = np.arange(labels.size) % 5
    return fold


def probe_accuracy(features: np.ndarray, labels: np.ndarray, strength: float) -> float:
    """Scikit-learn's cross-validated accuracy at one inverse penalty, to convergence."""
    model = LogisticRegression(C=strength, max_iter=10_000, tol=1e-8)
    folds = PredefinedSplit(folds_of(labels))
    predicted = cross_val_predict(model, StandardScaler().fit_transform(features), labels, cv=folds)
    return float((predicted == labels).mean())


def noisy(seed: int, n: int = 240, dimension: int = 60) -> dict[str, Any]:
    """Two equal classes that eight of many features tell apart: strong penalties are right."""
    generator = np.random.default_rng(seed)
    labels, features = generator.integers(2, size=n), generator.normal(size=(n, dimension))
    features[:, :8] += 0.35 * (2 * labels[:, None] - 1)
    return {"features": features, "labels": labels}


def unequal(seed: int, n: int = 240) -> dict[str, Any]:
    """A common and a rare class, which strong penalties never predict: weak ones are right."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < 0.3).astype(int)
    return {"features": generator.normal(size=(n, 10)) + 0.4 * labels[:, None], "labels": labels}


def crowded(seed: int, n: int = 120) -> dict[str, Any]:
    """Copies of one column that tells two classes apart, and fewer of each of many that do not: only shrink them."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=n)
    signal = generator.normal(size=(n, 1)) + 2.0 * labels[:, None] - 1.0
    noise = generator.normal(size=(n, 40))
    return {"features": np.hstack([np.repeat(signal, 100, axis=1), np.repeat(noise, 8, axis=1)]), "labels": labels}


# Half and twice each of these strengths give another accuracy, or another leverage.
@pytest.mark.parametrize(
    ("data", "strength"),
    [
        (crowded(11), 1e-4),
        (noisy(1), 1e-3),
        (noisy(4), 1e-2),
        (unequal(1), 1e-1),
        (unequal(8), 1.0),
        (noisy(3, n=60, dimension=90), 1e-2),
    ],
)
def test_the_linear_probe_has_the_accuracy_of_scikit_learns_logistic_regression_at_the_best_penalty(
    data: dict[str, Any], strength: float
) -> None:
    shard = scores.shard_of(**data)
    found = scores.describe("linear_probe").estimate(ScoringInput(shard.statistics(), [shard]))
    assert found.value == pytest.approx(probe_accuracy(**data, strength=strength), abs=1e-12)
    # The changes of rows that are right and of those that are wrong differ by 1/n, and more by the rows' leverage: that
    # of equal eigenvalues, which sum to n D, times p(1 - p) of a quarter.
    n, dimension = data["features"].shape
    rank = min(n, dimension)
    eigenvalue = n * dimension / rank / 4
    leverage = rank / n * eigenvalue / (eigenvalue + 1 / strength)
    assert found.influence is not None
    assert np.ptp(found.influence().changes) * n == pytest.approx(np.sqrt(1 + leverage), rel=1e-9)


@pytest.mark.parametrize("shape", [(70, 9), (70, 90)])
def test_transrate_is_the_coding_rate_of_all_less_the_mean_of_the_classes(shape: tuple[int, int]) -> None:
    data = separable(*shape, 3)
    labels, features = data["labels"], 0.02 * data["features"] + 5.0

    def rate(rows: np.ndarray) -> float:
        n, dimension = rows.shape
        return float(0.5 * np.linalg.slogdet(np.eye(dimension) + rows.T @ rows / (n * 1e-4))[1])

    centred = features - features.mean(axis=0)
    expected = rate(centred) - np.mean([rate(centred[labels == c]) for c in range(3)])
    assert scores.score("transrate", features, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dimension", [3, 6])
def test_transrates_replicates_follow_the_common_mean_of_unequal_classes(dimension: int) -> None:
    # A class far from the others' mean: leaving rows out moves the mean, and with it every class. What depends on how
    # many rows of each class a group holds is left out of the replicates.
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 70])
    features = 0.005 * generator.standard_t(4, size=(260, dimension)) + 0.02 * labels[:, None]
    data = {"features": features, "labels": labels}
    groups, found = groups_of(data), replicates("transrate", data)
    exact = np.array([scores.score("transrate", features[groups != g], labels[groups != g]) for g in range(GROUPS)])
    counts = np.array([[1, *np.bincount(labels[groups == g], minlength=2)] for g in range(GROUPS)])
    left = exact - found
    left -= counts @ np.linalg.lstsq(counts, left, rcond=None)[0]
    assert left.std() < 0.04 * exact.std()


def parc_distances(features: np.ndarray) -> np.ndarray:
    """1 - corr of standardised rows, by numpy."""
    return 1 - np.corrcoef((features - features.mean(axis=0)) / features.std(axis=0))


def test_parc_is_scipys_spearman_over_pairs_of_numpys_correlations() -> None:
    data = separable(40, 7, 3)
    features, labels = data["features"] * np.arange(1, 8), data["labels"]
    pairs = np.triu_indices(40, 1)
    different = labels[pairs[0]] != labels[pairs[1]]
    expected = 100 * spearmanr(parc_distances(features)[pairs], different)[0]
    assert scores.score("parc", features, labels) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(1 - row_correlations(features), parc_distances(features), atol=1e-12)


def test_parc_without_a_row_correlates_the_ranks_of_the_pairs_that_are_left() -> None:
    data = separable(96, 7, 3)
    labels, shard = data["labels"], scores.shard_of(**data)
    first, second = np.triu_indices(96, 1)
    ranks = rankdata(np.round(parc_distances(data["features"])[first, second], 12))
    different = labels[first] != labels[second]
    expected = []
    for row in range(96):
        left = (first != row) & (second != row)
        expected.append(100 * np.corrcoef(ranks[left], different[left])[0, 1])
    influence = scores.describe("parc").estimate(ScoringInput(shard.statistics(), [shard])).influence
    assert influence is not None
    np.testing.assert_allclose(influence().changes, (np.mean(expected) - expected) * 95 / 96, rtol=1e-9, atol=1e-9)


def test_parc_without_a_pair_is_zero() -> None:
    # Two rows, of which each group is one: what is left is a single row.
    data = {"features": np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]]), "labels": np.array([0, 1])}
    assert replicates("parc", data).tolist() == [0.0, 0.0]


def fisher_posterior(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    """Softmax of the regularised Fisher discriminants, as SFDA's equations 3 to 5 are written."""
    classes, dimension = labels.max() + 1, features.shape[1]
    means = np.array([features[labels == c].mean(axis=0) for c in range(classes)])
    within = sum(np.outer(f - means[y], f - means[y]) for f, y in zip(features, labels, strict=True)) / labels.size
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / dimension * np.eye(dimension)
    weights = means @ inv(within)
    prior = np.log(np.bincount(labels) / labels.size)
    return softmax(features @ weights.T - 0.5 * np.einsum("cd,cd->c", weights, means) + prior, axis=1)


@pytest.mark.parametrize(("dimension", "scale"), [(5, 0.4), (5, 1.0), (70, 0.3), (5, 30.0)])
def test_sfda_is_two_discriminants_with_rows_of_low_confidence_moved_in_between(dimension: int, scale: float) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    centres = generator.normal(size=(3, dimension)) * np.sqrt(5 / dimension)
    features = scale * (generator.normal(size=(100, dimension)) + centres[labels])
    features[:, 1] = 3.0  # a feature that does not vary
    features -= features.mean(axis=0)
    means = np.array([features[labels == c].mean(axis=0) for c in range(3)])
    within = np.cov((features - means[labels]).T, bias=True)
    shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within)[-1]), 1e-10)
    sure = softmax(fisher_posterior(features, labels, shrinkage), axis=1)[np.arange(100), labels]
    mixed = np.array(
        [
            p * f + (1 - p) * np.delete(means, y, axis=0).mean(axis=0)
            for p, f, y in zip(sure, features, labels, strict=True)
        ]
    )
    expected = fisher_posterior(mixed, labels, shrinkage)[np.arange(100), labels].mean()
    assert 0.4 < expected < 0.98
    assert adaptive_shrinkage(features, labels) == pytest.approx(shrinkage, rel=1e-9)
    assert scores.score("sfda", features + 7.0, labels) == pytest.approx(expected, rel=1e-6)


def test_a_sample_takes_classes_by_largest_remainder_after_one_each() -> None:
    for counts, size, expected in (
        ([50, 30, 20], 10, [5, 3, 2]),  # 7 spare: 3.536, 2.093, 1.371 of 97, so 3 + 1, 2, 1
        ([90, 9, 1], 10, [7, 2, 1]),
        ([60, 25, 15], 20, [11, 5, 4]),  # 17 spare: 10.34, 4.21, 2.45 of 97
        ([1, 1, 98], 5, [1, 1, 3]),
        ([7, 7, 7], 2, [1, 1, 0]),  # fewer than classes: the first remainders
    ):
        codes = np.repeat(np.arange(3), counts)
        found = np.bincount(codes[stratified_sample(codes, codes.size, size)], minlength=3)
        assert found.tolist() == expected


def test_a_sample_of_real_targets_is_numpys_choice_without_replacement() -> None:
    expected = np.sort(np.random.default_rng(SEED).choice(50, 20, replace=False))
    assert stratified_sample(None, 50, 20).tolist() == expected.tolist()
    assert stratified_sample(None, 20, 20).tolist() == list(range(20))


def test_rows_are_dealt_in_turn_class_by_class_into_folds() -> None:
    labels = np.random.default_rng(0).integers(5, size=100)
    expected = np.empty(100, dtype=int)
    for place, row in enumerate(sorted(range(100), key=lambda row: (labels[row], row))):
        expected[row] = place % 5
    assert stratified_folds(labels, 5).tolist() == expected.tolist()
