"""`/tasks`: how far datasets are from each other, as one checkpoint sees them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.datasets.service import list_datasets
from api.jobs.conditional import show_result
from api.jobs.resource import job_resources
from api.jobs.service import JobFilter, list_jobs
from api.jobs.submission import Submission
from api.pages.asking import Fields, fields_of, problems_of
from api.pages.rendering import go, page
from api.pages.standing import standing_of
from api.pages.visits import ReadVisit, Visit, WriteVisit
from api.paging import ANY_TIME, Cursor
from api.problems import status_of
from api.state import State
from api.task_distances.service import comparison_job
from frontrunner.errors import FrontrunnerError
from frontrunner.ranking import TaskDistancePayload, TaskDistanceRequest, TaskDistances
from frontrunner.ranking.task_distances import MAX_TASKS
from frontrunner.report.trees import tree_of
from jobs import lifecycle
from jobs.kinds.task_distances import KIND
from models import CheckpointRow, JobRow

router = APIRouter(prefix="/tasks", include_in_schema=False)

_A_PAGE = 20
# Datasets to choose from, the newest; the API takes the id of any.
_OFFERED = 200
# Checkpoints that the field suggests.
_SUGGESTED = 200


class TooFewTasks(FrontrunnerError):
    """Two datasets at least can be compared, and so many at most."""

    code = "too_few_tasks"


@router.get("")
def show_tasks(
    visit: ReadVisit, dataset: Annotated[list[str] | None, Query(max_length=MAX_TASKS)] = None, cursor: Cursor = None
) -> Response:
    """What was compared, and the form of a new comparison; `dataset` ticks some."""
    return _tasks(visit, dataset or [], cursor)


@router.post("", operation_id="createTaskDistances")
def compare_tasks(visit: WriteVisit) -> Response:
    """Measure the distances between the datasets that are ticked."""
    state, chosen = visit.state, visit.said_all("dataset")
    asked = {name: visit.said(name) for name in ("checkpoint", "max_examples") if visit.said(name)}
    try:
        if not 2 <= len(chosen) <= MAX_TASKS:
            raise TooFewTasks(f"tick two datasets at least, and at most {MAX_TASKS}")
        request = TaskDistanceRequest.model_validate(asked)
        job = Submission(state).submit(comparison_job(state, chosen, request))
    except ValidationError as invalid:
        return _tasks(visit, chosen, None, status=422, problems=problems_of(invalid))
    except FrontrunnerError as refusal:
        return _tasks(visit, chosen, None, status=status_of(refusal), refusal=refusal)
    return go(f"/tasks/{job.id}")


@router.get("/{job_id}")
def show_distances(job_id: str, visit: ReadVisit) -> Response:
    """Heat map, tree and table of one comparison; while it runs, how far it is."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "distances.html", **_found(visit.state, session, job_id))


@router.get("/{job_id}/live")
def show_live(job_id: str, visit: ReadVisit) -> Response:
    """The part that changes while it runs."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "_distances_part.html", **_found(visit.state, session, job_id))


def _tasks(
    visit: Visit,
    chosen: list[str],
    cursor: str | None,
    *,
    status: int = 200,
    refusal: FrontrunnerError | None = None,
    problems: Fields | None = None,
) -> Response:
    state = visit.state
    known = select(CheckpointRow.id).where(CheckpointRow.available, CheckpointRow.error_code.is_(None))
    with state.database.read_transaction() as session:
        rows = list_jobs(session, JobFilter(kind=KIND.name), _A_PAGE, cursor)
        jobs = job_resources(session, rows[:_A_PAGE])
        asked = _asked(session, [job.id for job in jobs])
        datasets = list_datasets(session, ANY_TIME, _OFFERED, None)[:_OFFERED]
        suggested = list(session.scalars(known.order_by(CheckpointRow.id).limit(_SUGGESTED)))
    return page(
        visit,
        "tasks.html",
        status=status,
        jobs=jobs,
        asked=asked,
        next=f"/tasks?cursor={jobs[-1].id}" if len(rows) > _A_PAGE else "",
        datasets=datasets,
        chosen=chosen,
        suggested=suggested,
        filled=fields_of(visit.form),
        problems=problems or Fields(),
        refusal=refusal,
    )


def _asked(session: Session, ids: list[str]) -> dict[str, TaskDistancePayload]:
    """What each job compares."""
    rows = session.execute(select(JobRow.id, JobRow.request).where(JobRow.id.in_(ids)))
    return {row.id: KIND.request.model_validate_json(row.request).payload for row in rows}


def _found(state: State, session: Session, job_id: str) -> dict[str, Any]:
    job = lifecycle.find_job(session, job_id, KIND)
    standing = standing_of(session, job)
    matrix = TaskDistances.model_validate_json(show_result(state, session, job)).matrix
    data: dict[str, Any] | None = None
    if matrix is not None:
        data = {"matrix": matrix.model_dump(mode="json"), "tree": tree_of(matrix.distance)}
    return {"standing": standing, "job": standing.job, "matrix": matrix, "data": data}
