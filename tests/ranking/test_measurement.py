"""What a ranking carries beside its score: baselines, discrepancy, dimensions, source statistics."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner import FeatureStatistics, errors, scores
from frontrunner.data import open_dataset, stratified_order
from frontrunner.discrepancy import head_discrepancy, intrinsic_dimension, risk_bound, task_distances
from frontrunner.ranking import RankingRequest, SourceStore, compare_datasets, rank, register_source
from frontrunner.ranking.local import nothing_ranked_reason
from frontrunner.settings import Settings
from frontrunner.store import open_store


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


@pytest.fixture
def feature_sets(tmp_path):
    """An npz of two feature sets, and its contents as float32."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    sets = {
        "noise": generator.normal(size=(120, 6)).astype(np.float32),
        "good": (generator.normal(size=(120, 9)) + labels[:, None]).astype(np.float32),
    }
    path = tmp_path / "features.npz"
    np.savez(path, labels=labels, **sets)
    return path, sets, labels


def test_every_line_carries_the_discrepancy_the_dimensions_and_the_baselines(feature_sets, settings):
    path, sets, labels = feature_sets
    ranking = rank(path, settings=settings)
    for line in ranking.ranking:
        features = sets[line.checkpoint.removeprefix("features:")]
        expected = head_discrepancy(FeatureStatistics().update(features, labels)).as_dict()
        found = line.discrepancy.model_dump()
        for name, value in found.items():
            assert value == (pytest.approx(expected[name], rel=1e-6) if isinstance(value, float) else expected[name])
        assert (found["space"], found["reference"], found["noise_model"]) == ("head", "prior", "isotropic")
        assert line.scores["discrepancy"].value == -found["dimension_dependent_per_parameter"]
        assert line.intrinsic_dimension == pytest.approx(intrinsic_dimension(features), rel=1e-3)
        read = stratified_order(open_dataset(path).train, seed=0)  # the probe's folds follow the order of reading
        for baseline in ("knn", "linear_probe"):
            expected_score = scores.score(baseline, features[read], labels[read])
            assert line.scores[baseline].value == pytest.approx(expected_score, abs=1e-9)
    assert ranking.provenance.score_versions.keys() == {"logme", "discrepancy", "knn", "linear_probe"}


def test_baselines_can_be_left_out(feature_sets, settings):
    ranking = rank(feature_sets[0], settings=settings, request=RankingRequest(baselines=False))
    assert all(line.scores.keys() == {"logme", "discrepancy"} for line in ranking.ranking)


def test_a_ranking_by_discrepancy_puts_the_nearest_first(feature_sets, settings):
    ranking = rank(feature_sets[0], settings=settings, request=RankingRequest(scores=("discrepancy",)))
    raw = [line.discrepancy.dimension_dependent_per_parameter for line in ranking.ranking]
    assert raw == sorted(raw)
    assert ranking.provenance.ordered_by == "discrepancy"
    assert all("logme" in line.scores for line in ranking.ranking)


@pytest.mark.parametrize("name", ["risk_bound", "published_risk_bound"])
def test_a_ranking_by_a_risk_bound_puts_the_least_leave_one_out_risk_plus_gap_first(feature_sets, settings, name):
    path, sets, labels = feature_sets
    ranking = rank(path, settings=settings, request=RankingRequest(scores=(name,)))
    for line in ranking.ranking:
        found = risk_bound(sets[line.checkpoint.removeprefix("features:")], labels)
        expected = found.value if name == "risk_bound" else found.published_value
        assert line.scores[name].raw == pytest.approx(expected, rel=1e-6)
        assert line.scores[name].value == -line.scores[name].raw
    values = [line.scores[name].value for line in ranking.ranking]
    assert values == sorted(values, reverse=True)
    assert ranking.provenance.ordered_by == name


def test_risk_bounds_follow_the_source_statistics_and_are_kept_beside_the_features(colours, hub, settings):
    request = RankingRequest(scores=("risk_bound",), checkpoints=("local:resnet",))
    before = rank(colours, hub=hub, settings=settings, request=request).ranking[0]
    register_source("local:resnet", colours, hub=hub, settings=settings)
    after = rank(colours, hub=hub, settings=settings, request=request).ranking[0]
    assert after.forward_examples == 0
    assert (before.discrepancy.gap_kind, after.discrepancy.gap_kind) == ("estimate", "bound")
    change = after.discrepancy.pac_bayes_gap - before.discrepancy.pac_bayes_gap
    assert change != 0
    assert after.scores["risk_bound"].raw - before.scores["risk_bound"].raw == pytest.approx(change)


def test_real_targets_get_a_ridge_probe_and_a_secondary_score_of_classes_is_refused_by_name(tmp_path, settings):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(80, 5))
    np.savez(tmp_path / "r.npz", features=features, targets=features @ generator.normal(size=5))
    request = RankingRequest(scores=("logme", "gbc", "risk_bound"))
    (line,) = rank(tmp_path / "r.npz", settings=settings, request=request).ranking
    assert line.scores.keys() == {"logme", "risk_bound", "discrepancy", "knn", "ridge_probe"}
    assert line.scores["ridge_probe"].value > 0.99
    assert line.not_applicable["gbc"].code == "score_not_applicable"


def test_a_first_score_that_cannot_be_computed_skips_the_checkpoint_with_its_own_code(feature_sets, settings):
    with pytest.raises(errors.NothingRanked, match="source_probabilities are missing"):
        rank(feature_sets[0], settings=settings, request=RankingRequest(scores=("leep",)))
    assert nothing_ranked_reason([]) == "none of 0 checkpoints could be ranked: "


def test_checkpoints_with_a_classifier_are_scored_by_their_own_predictions(colours, hub, settings):
    request = RankingRequest(scores=("logme", "leep", "nce"))
    ranking = rank(colours, hub=hub, settings=settings, request=request)
    assert all({"leep", "nce"} <= line.scores.keys() for line in ranking.ranking)
    again = rank(colours, hub=hub, settings=settings, request=RankingRequest(scores=("leep",)))
    assert [line.forward_examples for line in again.ranking] == [0, 0, 0]
    assert {line.checkpoint: line.scores["leep"] for line in again.ranking} == {
        line.checkpoint: line.scores["leep"] for line in ranking.ranking
    }


def test_source_statistics_move_the_reference_and_leave_the_scores_alone(colours, hub, settings):
    before = rank(colours, hub=hub, settings=settings)
    kept = register_source("local:resnet", colours, hub=hub, settings=settings)
    assert SourceStore(open_store(settings)).load(kept).n == len(open_dataset(colours).train)
    after = rank(colours, hub=hub, settings=settings)
    references = {line.checkpoint: line.discrepancy.reference for line in after.ranking}
    assert references == {"local:resnet": "source", "local:vit": "prior", "local:mobilenet": "prior"}
    for one, other in zip(before.ranking, after.ranking, strict=True):
        assert one.checkpoint == other.checkpoint
        assert one.scores["logme"] == other.scores["logme"]
        assert (one.discrepancy == other.discrepancy) == (one.checkpoint != "local:resnet")
    assert sum(line.forward_examples for line in after.ranking) == 0


def test_registering_a_source_for_an_unknown_checkpoint_says_so(colours, hub, settings):
    with pytest.raises(errors.CheckpointNotFound, match="local:nope"):
        register_source("local:nope", colours, hub=hub, settings=settings)


def test_distances_between_datasets_are_those_of_their_statistics(colours, hub, settings, zip_of):
    from tests.conftest import class_images

    other = zip_of(class_images(6, 15, seed=3), "other.zip")
    found = compare_datasets([colours, other], "local:resnet", hub=hub, settings=settings)
    assert [(task.name, task.examples, task.classes) for task in found.tasks] == [
        ("colours.zip", 80, 4),
        ("other.zip", 90, 6),
    ]
    references = [register_source("local:resnet", path, hub=hub, settings=settings) for path in (colours, other)]
    expected = task_distances(
        {reference.dataset: SourceStore(open_store(settings)).load(reference) for reference in references}
    )
    np.testing.assert_allclose(found.distance, expected.distance)
    assert found.distance[0][1] > found.distance[1][0]


def test_distances_need_classes(tmp_path, settings, hub, colours):
    path = tmp_path / "r.npz"
    np.savez(path, features=np.eye(20), targets=np.arange(20.0))
    with pytest.raises(errors.FrontrunnerError):
        compare_datasets([colours, path], "local:resnet", hub=hub, settings=settings)
