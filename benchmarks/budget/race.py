"""Races over kept scores: what a budget buys, against the ranking that reads everything."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.budget.samples import Samples
from frontrunner.hub import CheckpointDescription
from frontrunner.ranking import Budget, Expectations, Race, Reading, StepOutput
from frontrunner.scores import ScoreValue


@dataclass(frozen=True)
class Outcome:
    """How one race ended.

    Attributes:
        place: of the pick in the full ranking, from 0; checkpoints with the value of the first are first.
        stated: probability that the pick is the first, as the race says.
        spent: share of the full ranking's cost.
        passes: share of the full ranking's forward passes.
        lost: points of accuracy, once adapted, against the first of the full ranking; None where nobody adapted them.
        pick, first: of the race and of the full ranking.
    """

    pick: str
    first: str
    place: int
    stated: float
    spent: float
    passes: float
    lost: float | None = None


def run(
    samples: Samples, score: str, seed: int, budget: str, candidates: tuple[CheckpointDescription, ...], classes: int
) -> Outcome:
    """One race of all candidates; a size that was not kept is answered by a smaller one."""
    whole = samples.sizes[-1]
    race = Race(Budget.parse(budget), candidates, Expectations(), whole, classes, score)
    results: dict[Reading, StepOutput] = {}
    while (standing := race.standing(results)).next:
        for reading in standing.next:
            results[reading] = output(
                score, samples.nearest(score, seed, reading.checkpoint, reading.examples), reading
            )
    report = standing.report
    full = {found.id: samples.found[score, seed, found.id, whole].value for found in candidates}
    assert report.pick is not None
    passes = sum(outcome.examples for outcome in standing.outcomes.values() if isinstance(outcome, StepOutput))
    return Outcome(
        pick=report.pick,
        first=max(full, key=lambda name: full[name]),
        place=sum(value > full[report.pick] for value in full.values()),
        stated=report.probability_best,
        spent=report.spent,
        passes=passes / (whole * len(candidates)),
    )


def output(score: str, value: ScoreValue, reading: Reading) -> StepOutput:
    """A step's answer, as far as a race looks at it."""
    return StepOutput.model_construct(
        scores={score: value},
        examples=reading.examples,
        forward_examples=reading.examples,
        feature_dimension=0,
        feature_key="",
        feature_bytes=0,
        reading_cost=None,
        seconds=0.0,
        scoring_seconds=0.0,
    )
