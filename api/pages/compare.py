"""`/compare`: two rankings, or two tunings, beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs.conditional import show_result
from api.pages.rendering import page
from api.pages.visits import ReadVisit
from api.state import State
from frontrunner.errors import FrontrunnerError
from frontrunner.evidence.agreement import kendall_tau
from frontrunner.ranking import RankedCheckpoint, Ranking
from frontrunner.ranking.answer import interval_of, is_share, title_of
from frontrunner.report import ranking_data
from frontrunner.status import Status
from frontrunner.tuning import Tuning
from frontrunner.tuning.result import TuningOutput
from jobs import lifecycle
from jobs.kinds.ranking import KIND as RANKING
from jobs.kinds.tuning import KIND as TUNING
from models import DatasetRow, JobRow

router = APIRouter(prefix="/compare", include_in_schema=False)

# Jobs to choose from, the newest of those that succeeded.
_OFFERED = 100
# Lines of the table; the chart and the JSON have the others.
_LINES = 200
_AT_95_PERCENT = 1.96
Id = Annotated[str, Query(max_length=64)]


class NotComparable(FrontrunnerError):
    """A ranking is compared with a ranking, and a tuning with a tuning, once there are results."""

    code = "not_comparable"


@dataclass(frozen=True)
class Offered:
    """A job that may be chosen."""

    id: str
    kind: str
    dataset: str
    created_at: float

    @property
    def title(self) -> str:
        """What tells it from others: options of a list cannot hold times that a script turns into the viewer's."""
        asked = datetime.fromtimestamp(self.created_at, UTC)
        return f"{self.kind} of {self.dataset}, {asked:%Y-%m-%d %H:%M} UTC, {self.id[-8:]}"


@dataclass(frozen=True)
class Line:
    """A checkpoint of either ranking; None where one of them does not have it."""

    checkpoint: str
    first: RankedCheckpoint | None
    second: RankedCheckpoint | None


@router.get("")
def show_comparison(visit: ReadVisit, a: Id = "", b: Id = "") -> Response:
    """The two that the address names, and a form that chooses two."""
    with visit.state.database.read_transaction() as session:
        offered = _offered(session, a, b)
        said: dict[str, Any] = {"kind": "", "refusal": None}
        if a and b:
            try:
                said |= _compared(visit.state, session, *(lifecycle.find_job(session, name) for name in (a, b)))
            except NotComparable as refusal:
                said["refusal"] = refusal
    status = 200 if said["refusal"] is None else 422
    if offered and not b:  # what is likely to be meant: the newest one, and the newest other one of its kind
        first = next((job for job in offered if job.id == a), offered[0])
        others = (job.id for job in offered if job.kind == first.kind and job is not first)
        a, b = first.id, next(others, "")
    options = [(job.id, job.title) for job in offered]
    return page(visit, "compare.html", status=status, offered=options, a=a, b=b, **said)


def _offered(session: Session, *named: str) -> list[Offered]:
    """Jobs to choose from: those that are named, then the newest."""
    kinds = (RANKING.name, TUNING.name)
    rows = session.execute(
        select(JobRow.id, JobRow.kind, JobRow.created_at, DatasetRow.name)
        .join(DatasetRow, DatasetRow.id == JobRow.dataset_id, isouter=True)
        .where(JobRow.kind.in_(kinds), (JobRow.status == Status.SUCCEEDED) | JobRow.id.in_(named))
        .order_by(JobRow.id.in_(named).desc(), JobRow.id.desc())
        .limit(_OFFERED)
    )
    return [Offered(row.id, row.kind, row.name or "a deleted dataset", row.created_at) for row in rows]


def _compared(state: State, session: Session, one: JobRow, other: JobRow) -> dict[str, Any]:
    if one.kind != other.kind or one.kind not in (RANKING.name, TUNING.name):
        raise NotComparable("choose two rankings, or two tunings")
    bodies = show_result(state, session, one), show_result(state, session, other)
    if one.kind == RANKING.name:
        return _rankings(*map(Ranking.model_validate_json, bodies))
    return _tunings(*map(Tuning.model_validate_json, bodies))


def _rankings(one: Ranking, other: Ranking) -> dict[str, Any]:
    if not one.ranking or not other.ranking:
        raise NotComparable("nothing is ranked yet in one of them")
    lines = lines_of(one, other)
    both = [(-line.first.rank, -line.second.rank) for line in lines if line.first and line.second]
    return {
        "kind": "ranking",
        "pair": (one, other),
        "orders": tuple(title_of(each.provenance.ordered_by, each.dataset.task) for each in (one, other)),
        "shown": _shown,
        "lines": lines[:_LINES],
        "more": max(len(lines) - _LINES, 0),
        "both": len(both),
        "tau": kendall_tau(*zip(*[(-first, -second) for first, second in both], strict=True))
        if len(both) > 1
        else None,
        "data": (ranking_data(one), ranking_data(other)),
    }


def lines_of(one: Ranking, other: Ranking) -> list[Line]:
    """Every checkpoint of either: those of both by their better place, then those that one of them alone has."""
    first = {line.checkpoint: line for line in one.ranking}
    second = {line.checkpoint: line for line in other.ranking}
    lines = [Line(name, first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second))]

    def place(line: Line) -> tuple[bool, int, str]:
        ranks = [found.rank for found in (line.first, line.second) if found is not None]
        return len(ranks) < 2, min(ranks), line.checkpoint

    return sorted(lines, key=place)


def _shown(ranking: Ranking, line: RankedCheckpoint) -> str:
    """The score that orders a ranking, with its interval."""
    by = ranking.provenance.ordered_by
    low, value, high = interval_of(line, by)
    if value is None:
        return "-"
    unit, digits = (100, 1) if is_share(by, ranking.dataset.task) else (1, 3)
    reach = "" if low is None or high is None else f" ({unit * low:.{digits}f} to {unit * high:.{digits}f})"
    return f"{unit * value:.{digits}f}{'%' if unit == 100 else ''}{reach}"


def _tunings(one: Tuning, other: Tuning) -> dict[str, Any]:
    if one.output is None or other.output is None:
        raise NotComparable("one of them has no result yet")
    alike = one.dataset == other.dataset and one.output.metrics.split == other.output.metrics.split
    return {
        "kind": "tuning",
        "pair": (one, other),
        "difference": difference_of(one.output, other.output) if alike else None,
        "data": tuple(
            {
                "dataset": each.dataset,
                "output": each.output.model_dump(mode="json", include={"curve", "best_epoch", "metrics"}),
            }
            for each in (one, other)
            if each.output is not None
        ),
    }


def difference_of(one: TuningOutput, other: TuningOutput) -> tuple[float, float, float]:
    """Low, value and high of the second's accuracy less the first's, at 95%, as if each had examples of its own.

    The same examples were given to both, which makes the true interval narrower: what this one tells apart is apart.
    """
    first, second = one.metrics.accuracy.value, other.metrics.accuracy.value
    variance = sum(
        share * (1 - share) / max(metrics.examples, 1)
        for share, metrics in ((first, one.metrics), (second, other.metrics))
    )
    reach = _AT_95_PERCENT * sqrt(variance)
    return second - first - reach, second - first, second - first + reach
