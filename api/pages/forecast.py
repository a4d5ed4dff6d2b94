"""What a ranking would read, and about how long that takes: from what reading took before, else from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError
from starlette.datastructures import FormData

from api.pages.asking import problems_of, ranking_request
from api.rankings.service import planned_ranking
from api.state import State
from frontrunner.errors import FrontrunnerError
from frontrunner.hub import SkippedCheckpoint
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.stages.prices import milliseconds
from jobs.records import report_of
from models import DatasetRow

# What opening a checkpoint and its scores take besides, where nothing else is known.
_OPENING_S = 1.0


@dataclass(frozen=True)
class Forecast:
    """What is to be expected; or why nothing is.

    Attributes:
        checkpoints: that would be read, smallest first.
        skipped: that would not, and why.
        examples: of the dataset that each reads.
        seconds: of work, all workers together, if nothing is cached.
        measured: of the checkpoints, those whose speed somebody has measured.
        budget: what is allowed, in words; empty where nothing is said.
        problem: why there is no forecast; empty where there is one.
    """

    checkpoints: tuple[str, ...] = ()
    skipped: tuple[SkippedCheckpoint, ...] = ()
    examples: int = 0
    seconds: float = 0.0
    measured: int = 0
    budget: str = ""
    problem: str = ""


def forecast_of(state: State, dataset: DatasetRow, form: FormData) -> Forecast:
    """What the ranking of a form, or of an empty one, would read and take."""
    report = report_of(dataset)
    try:
        request = ranking_request(form)
        planned = planned_ranking(state, report, request)
    except ValidationError as invalid:
        return Forecast(problem="; ".join(f"{name}: {said}" for name, said in problems_of(invalid).items()))
    except FrontrunnerError as refusal:
        return Forecast(problem=refusal.reason)
    examples = min(request.max_examples, report.train_examples)
    each = milliseconds(planned.checkpoints)
    whole = sum(each.values()) * examples / 1000 + _OPENING_S * len(each)
    budget = None if request.budget is None else Budget.parse(request.budget)
    return Forecast(
        checkpoints=tuple(found.id for found in planned.checkpoints),
        skipped=planned.skipped,
        examples=examples,
        seconds=_within(budget, whole, len(each) * examples),
        measured=sum(bool(found.costs) for found in planned.checkpoints),
        budget="" if request.budget is None else str(request.budget),
    )


def _within(budget: Budget | None, seconds: float, readings: int) -> float:
    """Seconds of a ranking that keeps to its budget."""
    if budget is None:
        return seconds
    if budget.unit == "seconds":
        return min(seconds, budget.amount)
    share = budget.amount if budget.unit == "share" else budget.amount / max(readings, 1)
    return seconds * min(share, 1.0)
