"""Rows that were drawn in clusters: held out together, sampled together, and drawn anew together."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner import scores
from frontrunner.errors import InvalidFeatures
from frontrunner.scores import ScoringInput, shard_of
from frontrunner.scores.influence import Influence, replicates
from frontrunner.scores.intervals import standard_error
from frontrunner.scores.sampling import cluster_sample, random_groups, stratified_folds


def sentences(count: int, words: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and clusters of words; in half of the sentences the features say little of the labels."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(count), words)
    clear = rng.integers(0, 2, count)[clusters]
    labels = rng.integers(0, 2, clusters.size)
    signal = (2.0 * labels - 1.0) * clear
    features = np.stack([signal + rng.normal(size=clusters.size) for _ in range(3)], axis=1)
    return features, labels, clusters


def test_replicates_leave_out_whole_clusters():
    terms = np.array([1.0, 2.0, 6.0, 3.0, 8.0])
    clusters = np.array([5, 5, 9, 9, 9])
    shard = shard_of(np.zeros((5, 1)), [0, 1, 0, 1, 0], clusters=clusters)
    data = ScoringInput(shard.statistics(), [shard])
    found = replicates(terms.mean(), Influence.on_mean(terms), data)
    by_hand = [terms[clusters != left_out].mean() for left_out in (5, 9)]
    assert sorted(found.tolist()) == pytest.approx(sorted(by_hand), rel=1e-12)


@pytest.mark.parametrize("name", ["logme", "linear_probe", "knn", "lda"])
def test_the_spread_is_that_of_drawing_sentences_and_not_words(name):
    """Against the spread of the score itself over draws of other sentences, from the same source."""
    drawn = []
    for seed in range(60):
        features, labels, clusters = sentences(40, 20, seed)
        drawn.append(scores.score(name, features, labels, clusters=clusters))
    truth = np.std(drawn, ddof=1)
    by_sentence, by_word = [], []
    for seed in range(12):
        features, labels, clusters = sentences(40, 20, seed)
        for kept, given in ((by_sentence, clusters), (by_word, None)):
            value = scores.score(name, features, labels, clusters=given, interval=True)
            kept.append(standard_error(np.array(value.replicates)))
    assert 0.7 < np.mean(by_sentence) / truth < 1.4
    assert np.mean(by_word) < 0.85 * np.mean(by_sentence)


def test_neighbours_and_folds_of_the_same_sentence_do_not_help():
    """Features that tell the sentence and nothing else: with one label a sentence, words of it would give it away."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), 8)
    labels = rng.integers(0, 2, 60)[clusters]
    features = np.eye(60)[clusters] + 0.01 * rng.normal(size=(480, 60))
    for name in ("knn", "linear_probe"):
        assert scores.score(name, features, labels) > 0.95
        assert scores.score(name, features, labels, clusters=clusters) < 0.7


def test_a_sample_of_clusters_is_whole_and_has_every_class():
    rng = np.random.default_rng(1)
    clusters = rng.permutation(np.repeat(np.arange(200), 10))
    codes = np.zeros(2000, dtype=np.int64)
    codes[clusters == 17] = 1
    codes[np.flatnonzero(clusters == 58)[0]] = 2
    sample = cluster_sample(clusters, codes, 255)
    assert sample.size == 250
    assert set(np.unique(codes[sample])) == {0, 1, 2}
    assert np.unique(clusters[sample], return_counts=True)[1].tolist() == [10] * 25
    assert set(cluster_sample(clusters, codes, 100)) < set(sample)
    assert cluster_sample(clusters, codes, 3).size == 10
    assert cluster_sample(clusters, None, 2000).tolist() == list(range(2000))


def test_folds_and_groups_keep_clusters_together():
    clusters = np.repeat(np.arange(50), 7)
    for dealt in (stratified_folds(np.arange(350) % 3, 5, clusters), random_groups(350, clusters=clusters)):
        assert all(np.unique(dealt[clusters == cluster]).size == 1 for cluster in range(50))
    assert np.unique(stratified_folds(np.arange(350) % 3, 5, clusters)).size == 5


def test_every_score_takes_clusters():
    features, labels, clusters = sentences(30, 10, 0)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), labels.size)
    for name in scores.names():
        found = scores.score(
            name, features, labels, source_probabilities=probabilities, clusters=clusters, interval=True
        )
        assert np.isfinite(found.value), name
        if found.low is not None:
            assert found.low <= found.value <= found.high, name


@pytest.mark.parametrize("clusters", [[0, 1], [0.5] * 4, ["a"] * 4])
def test_clusters_of_another_form_are_refused(clusters):
    with pytest.raises(InvalidFeatures, match="expected an integer for each"):
        scores.score("logme", np.eye(4), [0, 1, 0, 1], clusters=clusters)
