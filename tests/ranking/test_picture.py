"""Pictures of features: principal components, and what the linear probe confuses."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from frontrunner import FeatureStatistics
from frontrunner.ranking import rank
from frontrunner.ranking.picture import GRID, POINTS, confusions_of, points_of
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.settings import Settings
from frontrunner.shard import Shard

GENERATOR = np.random.default_rng(0)
LABELS = np.repeat([3, 5, 7], [60, 60, 80])
FEATURES = GENERATOR.normal(size=(200, 12)) + np.eye(12)[LABELS] * 2 + (LABELS == 7)[:, None]


def given(features, labels=None, targets=None):
    shard = Shard(features=features, labels=labels, targets=targets)
    return ScoringInput(FeatureStatistics().update(features, labels=labels, targets=targets), [shard])


def test_points_are_the_two_leading_principal_components_on_a_grid():
    found = points_of(given(FEATURES, LABELS), rows=1000)
    expected = PCA(n_components=2).fit(FEATURES)
    assert found.explained == pytest.approx(expected.explained_variance_ratio_, abs=1e-4)
    points, components = np.array(found.points), expected.transform(FEATURES)
    for axis in range(2):
        assert abs(np.corrcoef(points[:, axis], components[:, axis])[0, 1]) > 0.9999
    spread = components.max(axis=0) - components.min(axis=0)
    assert points.min(axis=0).tolist() == [0, 0]
    assert points.max(axis=0) == pytest.approx(GRID * spread / spread.max(), abs=1)  # one scale for both
    assert found.labels == LABELS.tolist()


def test_many_examples_are_drawn_by_a_sample_that_has_every_class():
    labels = np.repeat([0, 1, 2], [900, 97, 3])
    found = points_of(given(GENERATOR.normal(size=(1000, 4)), labels), rows=1000)
    assert len(found.points) == POINTS
    assert set(found.labels) == {0, 1, 2}


def test_a_number_that_is_estimated_stands_at_its_point_and_several_do_not():
    targets = np.linspace(0, 1, 200)
    assert points_of(given(FEATURES, targets=targets), rows=1000).targets == pytest.approx(targets, abs=1e-3)
    several = points_of(given(FEATURES, targets=np.stack([targets, -targets], axis=1)), rows=1000)
    assert (several.targets, several.labels) == (None, None)


def test_constant_features_are_one_point():
    labels = np.array([0, 1] * 5)
    found = points_of(given(np.ones((10, 3)), labels), rows=1000)
    assert set(found.points) == {(0, 0)}


def test_confusions_are_all_mistakes_of_the_probe():
    data = given(FEATURES, LABELS)
    pairs = confusions_of(data).pairs
    accuracy = 1 - sum(count for _, _, count, _ in pairs) / 200
    from frontrunner.scores import score

    assert accuracy == pytest.approx(score("linear_probe", FEATURES, LABELS))
    assert all(true != taken for true, taken, _, _ in pairs)
    assert {of for true, _, _, of in pairs if true == 7} <= {80}
    counts = [count for _, _, count, _ in pairs]
    assert counts == sorted(counts, reverse=True)


def test_the_first_five_lines_of_a_ranking_have_a_picture_with_names(tmp_path):
    names = np.array(["cat", "dog", "eel"])[np.searchsorted([3, 5, 7], LABELS)]
    sets = {f"set{index}": (FEATURES + index * GENERATOR.normal(size=FEATURES.shape)) for index in range(6)}
    np.savez(tmp_path / "sets.npz", labels=names, **sets)
    settings = Settings(home=tmp_path / "home", packages=False)
    ranking = rank(tmp_path / "sets.npz", settings=settings)
    assert [line.picture is not None for line in ranking.ranking] == [True] * 5 + [False]
    picture = ranking.ranking[0].picture
    assert picture.classes == ["cat", "dog", "eel"]
    assert np.bincount(picture.labels).tolist() == [60, 60, 80]
    wrong = 1 - ranking.ranking[4].scores["linear_probe"].value
    assert sum(pair.count for pair in ranking.ranking[4].picture.confused) == round(200 * wrong)
    assert len(picture.model_dump_json()) < 8000
    again = rank(tmp_path / "sets.npz", settings=settings)
    assert again.ranking[0].picture == picture


def test_without_a_probe_nothing_is_confused(tmp_path):
    np.savez(tmp_path / "sets.npz", labels=LABELS, features=FEATURES)
    settings = Settings(home=tmp_path / "home", packages=False)
    (line,) = rank(tmp_path / "sets.npz", baselines=False, settings=settings).ranking
    assert line.picture.points
    assert line.picture.confused == []
