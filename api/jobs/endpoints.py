"""`/v1/jobs`: what became of a request."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.paging import Cursor, Limit, Page
from api.problems import RESPONSES, NotFound
from api.state import StateDependency
from api.times import instant
from frontrunner.ranking import Failure
from models import JobRow, Status, StepRow, lifecycle

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)

# How soon a client that polls should ask again.
RETRY_AFTER_S = 1


class JobProgress(BaseModel):
    """How far a job is."""

    steps_total: int
    steps_done: int
    examples_done: int = Field(description="Examples read so far, over all checkpoints.")
    examples_total: int


class JobResource(BaseModel):
    """A job."""

    id: str
    kind: str
    status: Status
    dataset: str
    progress: JobProgress
    result: str = Field(description="Where its result is read, partial while it runs.")
    failure: Failure | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


def job_resource(session: Session, job: JobRow) -> JobResource:
    """The resource of a job as it stands."""
    done, total = session.execute(
        select(
            func.coalesce(func.sum(StepRow.examples_done), 0), func.coalesce(func.sum(StepRow.examples_total), 0)
        ).where(StepRow.job_id == job.id)
    ).one()
    return JobResource(
        id=job.id,
        kind=job.kind,
        status=Status(job.status),
        dataset=job.dataset_id,
        progress=JobProgress(
            steps_total=job.steps_total,
            steps_done=job.steps_total - job.steps_left,
            examples_done=done,
            examples_total=total,
        ),
        result=f"/v1/rankings/{job.id}",
        failure=None if job.error_code is None else Failure(code=job.error_code, reason=job.error_reason or ""),
        created_at=instant(job.created_at),
        started_at=instant(job.started_at),
        finished_at=instant(job.finished_at),
    )


def find_job(session: Session, job_id: str) -> JobRow:
    """The job with this id.

    Raises:
        NotFound: there is none.
    """
    job = session.get(JobRow, job_id)
    if job is None:
        raise NotFound(f"there is no job '{job_id}'")
    return job


@router.get("", operation_id="listJobs")
def read_jobs(state: StateDependency, limit: Limit = 50, cursor: Cursor = None) -> Page[JobResource]:
    """List jobs, newest first."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(JobRow.id < cursor)
    with state.database.reading() as session:
        rows = list(session.scalars(query))
        items = [job_resource(session, row) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/{job_id}", operation_id="getJob")
def read_job(job_id: str, response: Response, state: StateDependency) -> JobResource:
    """Read one job; `Retry-After` says when to ask again while it runs."""
    with state.database.reading() as session:
        resource = job_resource(session, find_job(session, job_id))
    if not resource.status.is_terminal:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return resource


@router.post("/{job_id}/cancel", operation_id="cancelJob", status_code=202)
def cancel_job(job_id: str, state: StateDependency) -> JobResource:
    """Ask a job to stop. Steps that wait end now, running ones within a beat; a job that is over stays as it is."""
    with state.database.writing() as session:
        job = lifecycle.cancel_job(session, job_id)
        if job is None:
            raise NotFound(f"there is no job '{job_id}'")
        return job_resource(session, job)
