"""LEEP and NCE with few examples and many source classes: marked as too high, and predicted from the other examples."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner import scores
from frontrunner.scores import ScoreValue
from frontrunner.scores.intervals import standard_error
from frontrunner.scores.leep import expected_optimism
from frontrunner.scores.sampling import GROUPS
from frontrunner.scores.scoring_input import ScoringInput
from tests.scores.inputs import separable

CROSS_FITTED = {"leep": "leep_cross_fitted", "nce": "nce_cross_fitted"}


def evaluated(name: str, labels: np.ndarray, predictions: np.ndarray) -> ScoreValue:
    """A score of predictions alone."""
    shard = scores.shard_of(np.ones((len(labels), 1)), labels, predictions)
    return scores.evaluate([name], shard.statistics(), [shard])[name]


def top(predictions: np.ndarray) -> np.ndarray:
    """All of the probability given to the most probable source class."""
    return np.eye(predictions.shape[1])[predictions.argmax(axis=1)]


def predicted_from_the_others(labels: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    """The definition, an example at a time: half an example for each class, shared out as the other labels are."""
    found = []
    for i, label in enumerate(labels):
        others = np.arange(len(labels)) != i
        share = [(np.sum(labels[others] == c) + 0.5) / (others.sum() + classes / 2) for c in range(classes)]
        assert sum(share) == pytest.approx(1)
        probability = 0.0
        for z in range(predictions.shape[1]):
            of_class = predictions[others & (labels == label), z].sum() + classes / 2 * share[label]
            probability += predictions[i, z] * of_class / (predictions[others, z].sum() + classes / 2)
        found.append(np.log(probability))
    return float(np.mean(found))


@pytest.mark.parametrize("source_classes", [3, 20])
def test_cross_fitted_scores_are_what_the_definition_says_an_example_at_a_time(source_classes: int) -> None:
    generator = np.random.default_rng(source_classes)
    labels = generator.integers(4, size=30)
    predictions = generator.dirichlet(np.full(source_classes, 0.3), size=30)
    assert evaluated("leep_cross_fitted", labels, predictions).value == pytest.approx(
        predicted_from_the_others(labels, predictions, 4), rel=1e-12
    )
    assert evaluated("nce_cross_fitted", labels, predictions).value == pytest.approx(
        predicted_from_the_others(labels, top(predictions), 4), rel=1e-12
    )


def test_labels_that_a_thousand_source_classes_say_nothing_about_leave_their_entropy_open() -> None:
    generator = np.random.default_rng(0)
    labels, predictions = generator.integers(5, size=200), generator.random((200, 1000))
    optimistic = evaluated("nce", labels, predictions)
    assert optimistic.value > -0.15
    assert optimistic.unreliable
    honest = evaluated("nce_cross_fitted", labels, predictions)
    assert -np.log(5) - 0.08 < honest.value < -np.log(5) + 0.03
    assert not honest.unreliable


def test_a_score_and_its_cross_fitted_form_agree_where_examples_are_many() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(3, size=30_000)
    predictions = generator.dirichlet(np.ones(6), size=30_000) + 0.8 * np.eye(6)[labels]
    for name, cross_fitted in CROSS_FITTED.items():
        assert evaluated(cross_fitted, labels, predictions).value == pytest.approx(
            evaluated(name, labels, predictions).value, abs=1e-3
        )


@pytest.mark.parametrize("name", CROSS_FITTED.values())
def test_replicates_are_those_of_leaving_each_group_out_and_scoring_the_rest(name: str) -> None:
    data = separable(320, 2, 5)
    shard = scores.shard_of(**data)
    groups = ScoringInput(shard.statistics(), [shard]).groups
    found = np.array(scores.evaluate([name], shard.statistics(), [shard])[name].replicates)
    exact = np.array(
        [scores.score(name, **{key: v[groups != group] for key, v in data.items()}) for group in range(GROUPS)]
    )
    assert standard_error(found) == pytest.approx(standard_error(exact), rel=0.05)
    assert np.corrcoef(found, exact)[0, 1] > 0.99


@pytest.mark.parametrize(("name", "error"), [("leep", 0.2), ("leep_cross_fitted", 0.05)])
def test_replicates_are_right_where_source_classes_have_less_than_an_example_each(name: str, error: float) -> None:
    generator = np.random.default_rng(2)
    labels = generator.choice(3, size=320, p=[0.7, 0.2, 0.1])
    predictions = generator.dirichlet(np.full(200, 0.1), size=320)
    predictions[np.arange(320), labels] += 0.3
    predictions /= predictions.sum(axis=1, keepdims=True)
    shard = scores.shard_of(np.ones((320, 1)), labels, predictions)
    groups = ScoringInput(shard.statistics(), [shard]).groups
    found = np.array(evaluated(name, labels, predictions).replicates)
    exact = np.array([evaluated(name, labels[groups != g], predictions[groups != g]).value for g in range(GROUPS)])
    assert standard_error(found) == pytest.approx(standard_error(exact), rel=0.06)
    np.testing.assert_allclose(found - found.mean(), exact - exact.mean(), atol=error * exact.std())


@pytest.mark.parametrize(("source_classes", "classes", "n"), [(50, 3, 2000), (20, 10, 4000), (200, 2, 4000)])
def test_the_expected_optimism_is_that_of_simulated_labels(source_classes: int, classes: int, n: int) -> None:
    # Labels that the source classes say nothing about: -H(Y | Z) of endless examples is -log C.
    generator = np.random.default_rng(0)
    excess = [
        evaluated("nce", generator.integers(classes, size=n), np.eye(source_classes)[z]).value + np.log(classes)
        for z in generator.integers(source_classes, size=(12, n))
    ]
    expected = expected_optimism(source_classes, classes, n)
    assert np.mean(excess) == pytest.approx(expected, rel=0.12)


def test_predictions_that_are_all_alike_count_as_one_source_class() -> None:
    # A thousand source classes, but nothing to choose among them: LEEP cannot fit more than the classes' shares.
    labels = np.random.default_rng(0).choice(3, size=300, p=[0.6, 0.3, 0.1])
    same = evaluated("leep", labels, np.tile(np.random.default_rng(1).dirichlet(np.ones(1000)), (300, 1)))
    share = np.bincount(labels) / 300
    assert same.value == pytest.approx(float((share * np.log(share)).sum()))
    assert not same.unreliable
    assert evaluated("leep", labels, np.eye(1000)[np.arange(300)]).unreliable


@pytest.mark.parametrize("known", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("source_classes", "n"), [(4, 4000), (30, 400), (300, 1000), (1000, 300)])
def test_nce_is_marked_where_it_exceeds_the_truth_by_more_than_its_interval(
    known: float, source_classes: int, n: int
) -> None:
    # Source class z means label z mod 4 with probability `known`, and any label otherwise.
    generator = np.random.default_rng(source_classes)
    hit = known + (1 - known) / 4
    truth = hit * np.log(hit) + 3 * (1 - known) / 4 * np.log((1 - known) / 4)
    for _ in range(4):
        z = generator.integers(source_classes, size=n)
        labels = np.where(generator.random(n) < known, z % 4, generator.integers(4, size=n))
        found = evaluated("nce", labels, np.eye(source_classes)[z])
        assert found.low is not None
        # A mark may be given a little too early, as what the source classes determine cannot be fitted.
        assert found.unreliable or truth > found.low - 0.25 * (found.value - found.low)
        if source_classes == 4 and known > 0:
            assert not found.unreliable


def test_without_rows_a_score_is_marked_by_its_expected_optimism_alone() -> None:
    generator = np.random.default_rng(0)
    for source_classes, unreliable in ((4, False), (400, True)):
        labels, z = generator.integers(3, size=500), generator.integers(source_classes, size=500)
        shard = scores.shard_of(np.ones((500, 1)), labels, np.eye(source_classes)[z])
        found = scores.evaluate(["nce"], shard.statistics(), [])["nce"]
        assert found.low is None
        assert found.unreliable is unreliable


def test_the_mark_stands_in_json_only_where_it_is_given() -> None:
    assert ScoreValue(value=1.0, unreliable=True).model_dump()["unreliable"] is True
    assert "unreliable" not in ScoreValue(value=1.0).model_dump()


def test_n_leep_is_not_marked_as_every_checkpoint_has_as_many_clusters() -> None:
    data = separable(200, 6, 4)
    shard = scores.shard_of(data["features"], data["labels"])
    assert not scores.evaluate(["n_leep"], shard.statistics(), [shard])["n_leep"].unreliable
