"""What a transferability score says about itself, and what it gives back.

A score is a value with a name, a citation and a range; one function of a `ScoringInput` computes it. The spread of a
value is asked for separately, so that a caller who wants only the number pays only for the number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

Task: TypeAlias = Literal["classification", "multi-label", "regression"]
Needs: TypeAlias = Literal["statistics", "features", "source_probabilities"]

CLASSIFICATION: frozenset[Task] = frozenset({"classification"})
EVERY_TASK: frozenset[Task] = frozenset({"classification", "multi-label", "regression"})


@dataclass(frozen=True)
class Estimate:
    """One computed score.

    Attributes:
        value: higher is better.
        raw: the number as its source defines it; equals `value` unless the source counts downwards.
        replicates: gives (G,) what the value would be without each group of rows (see `intervals`), or None where
            no rows are at hand.
    """

    value: float
    raw: float
    replicates: Callable[[], Floats] | None


@dataclass(frozen=True)
class ScoreValue:
    """A score of one checkpoint on one dataset; higher is better.

    Attributes:
        value: the score.
        low: lower end of its 95% interval over the draw of examples; None where there is nothing to resample.
        high: upper end.
        raw: the number as its source defines it.
        replicates: the value without each group of rows. Two checkpoints that saw the same rows have the same
            groups, so their replicates pair: see `probability_first_beats_second`.
    """

    value: float
    low: float | None = None
    high: float | None = None
    raw: float | None = None
    replicates: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScoreDescription:
    """What a score says about itself.

    Attributes:
        name: the stable name by which it is asked for.
        title: the name for people.
        source: paper and year.
        needs: "statistics" (sums over examples; rows only sharpen the interval), "features" (rows themselves) or
            "source_probabilities" (the checkpoint's own predicted distribution).
        tasks: where it is defined.
        range: where values lie, in words.
        cost: how the work grows, in words.
        explanation: one line for users.
        largest_sample: rows that it looks at; larger datasets are sampled, stratified and seeded. None: all rows.
        version: part of every cache key; raised whenever the number for the same input changes.
    """

    name: str
    title: str
    source: str
    needs: Needs
    tasks: frozenset[Task]
    range: str
    cost: str
    explanation: str
    largest_sample: int | None = None
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Score(ScoreDescription):
    """A transferability score: a description and how to compute it.

    Attributes:
        estimate: computes it.
        lowest: no value lies below; intervals are cut here.
        highest: no value lies above.
    """

    estimate: Callable[[ScoringInput], Estimate]
    lowest: float = float("-inf")
    highest: float = float("inf")
