"""`/jobs`: what was asked for, how far it is, and what may be asked of it; and the stream that pages listen to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import select

from api.jobs.conditional import show_result
from api.jobs.events import events_of_job
from api.jobs.resource import job_resource, job_resources
from api.jobs.service import JobFilter, cancel, delete, list_jobs, retry
from api.pages.rendering import go, job_path, page
from api.pages.visits import ReadVisit, WriteVisit
from api.paging import CreatedDependency, Cursor
from frontrunner.status import Status
from jobs import lifecycle
from jobs.kinds import KINDS
from models import DatasetRow

router = APIRouter(prefix="/jobs", include_in_schema=False)

_A_PAGE = 50

Event = Annotated[int, Query(ge=0, le=2**31 - 1)]


@router.get("")
def show_jobs(
    visit: ReadVisit,
    created: CreatedDependency,
    status: Annotated[list[str] | None, Query(max_length=len(Status))] = None,
    kind: Annotated[str, Query(max_length=32)] = "",
    dataset: Annotated[str, Query(max_length=64)] = "",
    cursor: Cursor = None,
) -> Response:
    """Jobs, newest first; the address holds what is looked for."""
    statuses = tuple(Status(word) for word in status or () if word in set(Status))
    wanted = JobFilter(statuses, kind or None, dataset or None, created)
    with visit.state.database.read_transaction() as session:
        rows = list_jobs(session, wanted, _A_PAGE, cursor)
        jobs = job_resources(session, rows[:_A_PAGE])
        ids = {job.dataset for job in jobs if job.dataset}
        named = session.execute(select(DatasetRow.id, DatasetRow.name).where(DatasetRow.id.in_(ids)))
        names = {row.id: row.name for row in named}
    filters = [("status", word) for word in statuses] + [("kind", kind)] * bool(kind)
    filters += [("dataset", dataset)] * bool(dataset)
    older = urlencode([*filters, ("cursor", jobs[-1].id)]) if len(rows) > _A_PAGE else ""
    return page(
        visit,
        "jobs.html",
        jobs=jobs,
        names=names,
        kinds=sorted(KINDS),
        statuses=list(Status),
        chosen=statuses[0] if statuses else "",
        kind=kind,
        dataset=dataset,
        is_filtered=bool(filters),
        next=f"/jobs?{older}" if older else "",
    )


@router.get("/{job_id}")
def show_job(job_id: str, visit: ReadVisit) -> Response:
    """A job by its id alone: the page of its kind."""
    with visit.state.database.read_transaction() as session:
        return go(job_path(job_resource(session, lifecycle.find_job(session, job_id))))


@router.get("/{job_id}/result.json")
def read_result(job_id: str, visit: ReadVisit) -> Response:
    """The result as the API gives it."""
    with visit.state.database.read_transaction() as session:
        body = show_result(visit.state, session, lifecycle.find_job(session, job_id))
    return Response(body, media_type="application/json")


def _known_job(job_id: str, visit: ReadVisit) -> str:
    """The id of a job that exists: a stream cannot answer 404 once it has begun."""
    with visit.state.database.read_transaction() as session:
        return lifecycle.find_job(session, job_id).id


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def watch(
    job_id: Annotated[str, Depends(_known_job)],
    visit: ReadVisit,
    after: Event = 0,
    last_event_id: Annotated[int, Header(ge=0, le=2**31 - 1)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """What happens to a job after what the page shows; a browser that connects again says what it has seen."""
    async for event in events_of_job(visit.state, job_id, max(after, last_event_id)):
        yield event


@router.post("/{job_id}/cancel", operation_id="cancelJob")
def ask_to_stop(job_id: str, visit: WriteVisit) -> Response:
    """Stop it."""
    return go(job_path(cancel(visit.state, job_id)))


@router.post("/{job_id}/retry", operation_id="retryJob")
def ask_again(job_id: str, visit: WriteVisit) -> Response:
    """Try again what did not succeed."""
    return go(job_path(retry(visit.state, job_id)))


@router.post("/{job_id}/delete", operation_id="deleteJob")
def forget(job_id: str, visit: WriteVisit) -> Response:
    """Forget it."""
    delete(visit.state, job_id)
    return go("/jobs")
