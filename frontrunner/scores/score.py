"""The description of a transferability score, and its results: an `Estimate`, then a `ScoreValue`.

A score has a name, a citation and a range; one function of a `ScoringInput` computes it. The spread of a value is
computed on request, so that a caller who wants only the number pays only for the number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from frontrunner.scores.influence import Influence
from frontrunner.scores.scoring_input import ScoringInput

Task: TypeAlias = Literal["classification", "multi-label", "regression"]
Needs: TypeAlias = Literal["statistics", "features", "source_probabilities"]

CLASSIFICATION: frozenset[Task] = frozenset({"classification"})
EVERY_TASK: frozenset[Task] = frozenset({"classification", "multi-label", "regression"})


@dataclass(frozen=True)
class Estimate:
    """One computed score.

    Attributes:
        value: higher is better.
        raw: the number as its paper defines it; equals `value` unless lower is better there.
        influence: computes how much each row adds to the value; None where no rows are at hand.
        optimism: by how much the value is expected to be too high because the same examples are fitted and scored.
    """

    value: float
    raw: float
    influence: Callable[[], Influence] | None
    optimism: float = 0.0


class ScoreValue(BaseModel):
    """A score of one checkpoint on one dataset; higher is better."""

    # The docstring is the description in the public schema. Scores, stored measurements, outputs of steps and lines of
    # a ranking all use this type.

    model_config = ConfigDict(frozen=True)

    value: float = Field(description="The score; higher is better.")
    low: float | None = Field(
        default=None,
        description="Lower end of its 95% interval over draws of as many examples, class counts drawn with them (or "
        "held, where `within_classes` was asked for); None where no rows are at hand.",
    )
    high: float | None = Field(default=None, description="Upper end of the same interval.")
    raw: float | None = Field(
        default=None, description="The number as its paper defines it; differs from `value` where lower is better."
    )
    unreliable: bool = Field(
        default=False,
        exclude_if=lambda unreliable: not unreliable,
        description="Whether the value is expected to be too high by more than its interval, as there are too few "
        "examples for so many source classes; left out where it is not.",
    )
    # Two checkpoints that read the same rows have the same groups, so their replicates are paired: only
    # `probability_first_beats_second` needs them. Lines of a ranking have none, so neither has the public schema.
    replicates: SkipJsonSchema[tuple[float, ...]] = Field(
        default=(),
        repr=False,
        exclude_if=lambda replicates: not replicates,
        description="The value without each group of examples, a group at a time.",
    )

    def without_replicates(self) -> ScoreValue:
        """The score as a line of a ranking shows it.

        Example:
            >>> found = ScoreValue(value=0.5, low=0.4, high=0.6, raw=0.5, replicates=(0.49, 0.51))
            >>> found.without_replicates().model_dump_json()
            '{"value":0.5,"low":0.4,"high":0.6,"raw":0.5}'
        """
        return self.model_copy(update={"replicates": ()})


@dataclass(frozen=True, kw_only=True)
class ScoreDescription:
    """A score's name, citation, range and cost, without the function that computes it.

    Attributes:
        name: the stable name in requests and results.
        title: the name as tables print it.
        citation: paper and year.
        needs: "statistics" (sums over examples; rows only sharpen the interval), "features" (rows themselves) or
            "source_probabilities" (the checkpoint's own predicted distribution).
        tasks: where it is defined.
        range: the values it can take, in words.
        cost: how its work grows, in words.
        explanation: one line for users.
        largest_sample: rows that it reads; larger datasets are sampled, stratified and seeded. None: all rows.
        version: part of every cache key; raised whenever the number for the same input changes.
        kept: whether numbers are kept beside the features, by their version. A function that is given in a session may
            change at any time, and has no version.
    """

    name: str
    title: str
    citation: str
    needs: Needs
    tasks: frozenset[Task]
    range: str
    cost: str
    explanation: str
    largest_sample: int | None = None
    version: int = 1
    kept: bool = True


@dataclass(frozen=True, kw_only=True)
class Score(ScoreDescription):
    """A transferability score: a description and how to compute it.

    Attributes:
        estimate: computes it of a `ScoringInput`.
        lowest: the least value it can take; intervals are cut there.
        highest: the largest.
    """

    estimate: Callable[[ScoringInput], Estimate]
    lowest: float = float("-inf")
    highest: float = float("inf")
