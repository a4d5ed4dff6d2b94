"""What a user may ask of a job: to stop, to try again, to be forgotten."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from frontrunner.status import Status
from jobs.datasets import missing_datasets
from jobs.errors import DatasetGone, IdenticalJobRunning, JobNotOver, NothingToRetry
from jobs.lifecycle.events import note
from jobs.lifecycle.finishing import continue_job, find_job, move
from jobs.transitions import JOB_TRANSITIONS, STEP_TRANSITIONS, predecessors
from models.base import database_now
from models.job import JobRow
from models.step import StepRow


def cancel_job(session: Session, job_id: str) -> JobRow:
    """Ask a job to stop: queued steps end now, running ones when their worker hears of it.

    A job that is over already stays as it is.

    Raises:
        JobNotFound: there is none.
    """
    job = find_job(session, job_id, lock=True)
    if Status(job.status) not in predecessors(JOB_TRANSITIONS, Status.CANCELLING):
        return job
    move(session, job, Status.CANCELLING)
    stopped = session.execute(
        update(StepRow)
        .where(StepRow.job_id == job_id, StepRow.status == Status.QUEUED)
        .values(status=Status.CANCELLED, finished_at=database_now())
        .execution_options(synchronize_session=False)
    )
    job.steps_left -= stopped.rowcount if isinstance(stopped, CursorResult) else 0
    continue_job(session, job)
    session.flush()
    return job


def retry_job(session: Session, job_id: str) -> JobRow:
    """Queue every step again that did not succeed, with all its attempts; accepted outputs are kept.

    Raises:
        JobNotFound: there is none.
        NothingToRetry: every step succeeded, or the job is not over.
        DatasetGone: what it reads was deleted.
        IdenticalJobRunning: another job is doing this work.
    """
    job = find_job(session, job_id, lock=True)
    if Status(job.status) not in predecessors(JOB_TRANSITIONS, Status.QUEUED):
        raise NothingToRetry(f"job '{job_id}' is {job.status}; only a job that is over can be tried again")
    if missing_datasets(session, job_id):
        raise DatasetGone(f"a dataset that job '{job_id}' reads was deleted; upload it again and submit a new job")
    names = session.scalars(
        update(StepRow)
        .where(StepRow.job_id == job_id, StepRow.status.in_(predecessors(STEP_TRANSITIONS, Status.QUEUED)))
        .where(StepRow.status != Status.RUNNING)
        .values(
            status=Status.QUEUED,
            attempt=0,
            available_at=database_now(),
            error_code=None,
            error_reason=None,
            started_at=None,
            finished_at=None,
        )
        .returning(StepRow.name)
        .execution_options(synchronize_session=False)
    ).all()
    if not names:
        raise NothingToRetry(f"every step of job '{job_id}' succeeded")
    job.steps_left = len(names)
    job.result = job.error_code = job.error_reason = job.finished_at = None
    move(session, job, Status.QUEUED)
    for name in names:
        note(session, job, "step.queued", step=name, code="retried")
    try:
        session.flush()
    except IntegrityError as error:
        raise IdenticalJobRunning(f"another job is doing the work of '{job_id}' now; wait for that one") from error
    return job


def delete_job(session: Session, job_id: str) -> None:
    """Forget a job that is over, with its steps, scores and events; cached features stay.

    Raises:
        JobNotFound: there is none.
        JobNotOver: it waits or runs.
    """
    job = find_job(session, job_id, lock=True)
    if not Status(job.status).is_terminal:
        raise JobNotOver(f"job '{job_id}' is {job.status}; cancel it first")
    session.execute(delete(JobRow).where(JobRow.id == job_id))


def queues_of(session: Session, job_id: str) -> list[str]:
    """The queue of each queued step of a job: where workers are to look for it."""
    waiting = select(StepRow.queue).where(StepRow.job_id == job_id, StepRow.status == Status.QUEUED)
    return list(session.scalars(waiting.order_by(StepRow.ordinal)))
