"""A job as answers show it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.times import instant
from frontrunner.status import Failure, Status
from jobs import lifecycle
from jobs.records import failure_of
from models import JobRow, StepRow

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
    priority: int = Field(description="0 to 9; 9 goes first among the jobs of one tenant.")
    dataset: str | None
    progress: JobProgress
    result: str = Field(description="Where its result is read, partial while it runs.")
    failure: Failure | None
    next: str | None = Field(default=None, description="The job that follows on this one, once it is submitted.")
    next_refused: Failure | None = Field(default=None, description="Why the job that was to follow could not be.")
    last_event: int = Field(description="Number of the last of its events that this tells of.")
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


def job_resources(session: Session, jobs: list[JobRow]) -> list[JobResource]:
    """The resources of jobs as they stand, in the same order."""
    examples = {
        job_id: (done, total)
        for job_id, done, total in session.execute(
            select(StepRow.job_id, func.sum(StepRow.examples_done), func.sum(StepRow.examples_total))
            .where(StepRow.job_id.in_([job.id for job in jobs]))
            .group_by(StepRow.job_id)
        )
    }
    return [_resource(job, *examples.get(job.id, (0, 0))) for job in jobs]


def job_resource(session: Session, job: JobRow) -> JobResource:
    """The resource of one job as it stands."""
    return job_resources(session, [job])[0]


def _resource(job: JobRow, examples_done: int, examples_total: int) -> JobResource:
    return JobResource(
        id=job.id,
        kind=job.kind,
        status=Status(job.status),
        priority=job.priority,
        dataset=job.dataset_id,
        progress=JobProgress(
            steps_total=job.steps_total,
            steps_done=job.steps_total - job.steps_left,
            examples_done=examples_done,
            examples_total=examples_total,
        ),
        result=lifecycle.result_url(job),
        failure=failure_of(job.error_code, job.error_reason),
        next=job.next_job_id,
        next_refused=failure_of(job.next_error_code, job.next_error_reason),
        last_event=job.version,
        created_at=instant(job.created_at),
        started_at=instant(job.started_at),
        finished_at=instant(job.finished_at),
    )
