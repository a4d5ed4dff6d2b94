"""`/v1/jobs`: what became of a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from api.jobs.conditional import NOT_MODIFIED, ConditionalGetDependency
from api.jobs.resource import JobResource, job_resource, job_resources
from api.jobs.service import JobFilter, cancel, delete, list_jobs, retry
from api.paging import CreatedDependency, Cursor, Limit, Page
from api.problems import RESPONSES
from api.state import State, StateDependency, WriteStateDependency
from frontrunner.status import Status
from models import JobRow

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)


@router.get("", operation_id="listJobs")
def read_jobs(
    state: StateDependency,
    created: CreatedDependency,
    status: Annotated[list[Status] | None, Query(max_length=len(Status), description="May be given again.")] = None,
    kind: Annotated[str | None, Query(max_length=32)] = None,
    dataset: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobResource]:
    """List jobs, newest first."""
    wanted = JobFilter(tuple(status or ()), kind, dataset, created)
    with state.database.read_transaction() as session:
        rows = list_jobs(session, wanted, limit, cursor)
        items = job_resources(session, rows[:limit])
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/{job_id}", operation_id="getJob", response_model=JobResource, responses=NOT_MODIFIED)
async def read_job(job_id: str, conditional: ConditionalGetDependency) -> Response:
    """Read one job; `Retry-After` says when to ask again while it runs, `Prefer: wait=n` waits instead."""
    return await conditional.answer(job_id, _show)


@router.post("/{job_id}/cancel", operation_id="cancelJob", status_code=202)
def cancel_job(job_id: str, state: WriteStateDependency) -> JobResource:
    """Ask a job to stop. Steps that wait end now, running ones within a beat; a job that is over stays as it is."""
    return cancel(state, job_id)


@router.post("/{job_id}/retry", operation_id="retryJob", status_code=202)
def retry_job(job_id: str, state: WriteStateDependency) -> JobResource:
    """Queue every step again that failed, was lost or cancelled; accepted results are kept."""
    return retry(state, job_id)


@router.delete("/{job_id}", operation_id="deleteJob", status_code=204)
def delete_job(job_id: str, state: WriteStateDependency) -> None:
    """Forget a job that is over, and its result. Cached features stay."""
    delete(state, job_id)


def _show(_: State, session: Session, job: JobRow) -> bytes:
    return job_resource(session, job).model_dump_json().encode()
