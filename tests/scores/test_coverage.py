"""Intervals hold the expectation, and comparisons are right, as often as the documentation says.

Simulated and seeded; a few dozen datasets, each read by four checkpoints of equal merit, tell shares to a few percent.
The figures of docs/scores.md come from more runs of the same (`python -m benchmarks.scores.coverage`).
"""

from __future__ import annotations

import pytest

from benchmarks.scores.coverage import SLOW, coverage_of
from benchmarks.scores.simulated import SITUATIONS, Situation, draws_of
from frontrunner import scores
from frontrunner.scores import Draw

RUNS, SLOW_RUNS = 40, 8
CASES = [
    pytest.param(score.name, situation, draw, id=f"{score.name}-{situation.name}-{draw}")
    for score in scores.registered()
    for situation in SITUATIONS
    for draw in draws_of(situation)
    if situation.shares or "regression" in score.tasks
    if draw == "examples" or score.name not in SLOW
]


@pytest.mark.parametrize(("name", "situation", "draw"), CASES)
def test_intervals_hold_the_expectation_and_equal_checkpoints_are_rarely_called_different(
    name: str, situation: Situation, draw: Draw
) -> None:
    runs = SLOW_RUNS if name in SLOW else RUNS
    found = coverage_of(name, situation, draw, runs)
    # Documented: 0.91 and more, 0.13 and less, 0.08 and less; beyond that, what so few runs leave open.
    assert found.covered >= (0.80 if name in SLOW else 0.84)
    assert found.called <= (0.30 if name in SLOW else 0.24)
    assert found.untied <= (0.30 if name in SLOW else 0.15)


@pytest.mark.parametrize("name", ["transrate", "leep", "logme"])
def test_with_class_counts_held_the_interval_is_too_narrow_for_drawn_ones(name: str) -> None:
    (imbalanced,) = (situation for situation in SITUATIONS if situation.name == "imbalanced")
    right = coverage_of(name, imbalanced, "examples", 30)
    wrong = coverage_of(name, imbalanced, "examples", 30, intervals="within_classes")
    assert wrong.covered < 0.75 < right.covered
