"""Scores of one's own: functions by name, and scores that other packages declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from frontrunner import scores
from frontrunner.errors import InvalidScore, ScoreNotApplicable, UnknownScore
from frontrunner.scores import registry

FEATURES = np.array([[0.0, 1.0], [0.0, 3.0], [6.0, 1.0], [6.0, 3.0]])
LABELS = ["a", "a", "b", "b"]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    before = dict(registry._SCORES)
    yield
    registry._SCORES.clear()
    registry._SCORES.update(before)


def gap(features: Any, labels: Any) -> float:
    """Distance between the centres of the first two classes."""
    return float(np.linalg.norm(features[labels == 0].mean(axis=0) - features[labels == 1].mean(axis=0)))


def test_a_function_is_a_score_under_its_name():
    added = scores.register(gap)
    assert scores.score("gap", FEATURES, LABELS) == 6.0
    assert added.explanation == "Distance between the centres of the first two classes."
    assert "gap" in scores.names()
    assert scores.names()[0] == "logme"


def test_it_has_real_targets_where_there_are_no_classes():
    def width(features: Any, targets: Any) -> float:
        return float(targets.shape[1])

    scores.register(width)
    assert scores.score("width", FEATURES, np.ones((4, 3)) * np.arange(4)[:, None]) == 3.0


def test_what_it_raises_is_the_reason_why_it_is_missing():
    def broken(features: Any, labels: Any) -> float:
        raise RuntimeError("no idea")

    scores.register(broken)
    with pytest.raises(ScoreNotApplicable, match="broken raised RuntimeError: no idea"):
        scores.score("broken", FEATURES, LABELS)


def test_a_number_that_is_none():
    scores.register(lambda features, labels: float("nan"), "nothing")
    with pytest.raises(ScoreNotApplicable, match="nothing is nan"):
        scores.score("nothing", FEATURES, LABELS)


@pytest.mark.parametrize("name", ["logme", "Gap", "a b", "../x", "", "_x"])
def test_names_that_cannot_be_taken(name):
    with pytest.raises(InvalidScore):
        scores.register(lambda features, labels: 1.0, name)
    assert name == "logme" or name not in scores.names()


def test_one_may_be_changed_and_registered_again():
    scores.register(lambda features, labels: 1.0, "mine")
    scores.register(lambda features, labels: 2.0, "mine")
    assert scores.score("mine", FEATURES, LABELS) == 2.0


class Entry:
    """As `importlib.metadata` lists an entry point."""

    def __init__(self, name: str, found: Any) -> None:
        self.name = name
        self._found = found

    def load(self) -> Any:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def test_packages_add_theirs_and_a_broken_one_harms_nobody(monkeypatch, caplog):
    listed = {"frontrunner.scores": [Entry("broken_package", ImportError("gone")), Entry("package_gap", gap)]}
    monkeypatch.setattr(registry, "entry_points", lambda *, group: listed[group])
    registry._register_installed()
    assert scores.score("package_gap", FEATURES, LABELS) == 6.0
    with pytest.raises(UnknownScore):
        scores.describe("broken_package")
    assert "'broken_package' of another package is left out: gone" in caplog.text


def test_a_value_with_its_interval():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    features = rng.normal(size=(200, 4)) + labels[:, None]
    found = scores.score("logme", features, labels, interval=True)
    assert found.value == scores.score("logme", features, labels)
    assert found.low < found.value < found.high
