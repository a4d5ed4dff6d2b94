"""Finding jobs, and what may be asked of one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs.resource import JobResource, job_resource
from api.paging import ANY_TIME, Created
from api.state import State
from frontrunner.status import Status
from jobs import lifecycle
from jobs.notification import notify_workers
from jobs.quotas import Limits, locked_limits, require_room_for_jobs
from models import JobRow


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list: those that fit everything that is said."""

    status: tuple[Status, ...] = ()
    kind: str | None = None
    dataset: str | None = None
    created: Created = ANY_TIME


def list_jobs(session: Session, wanted: JobFilter, limit: int, cursor: str | None) -> list[JobRow]:
    """`limit` + 1 jobs before `cursor`, newest first."""
    query = (
        wanted.created.narrow(select(JobRow).options(*lifecycle.WITHOUT_JSON), JobRow.created_at)
        .order_by(JobRow.id.desc())
        .limit(limit + 1)
    )
    if wanted.status:
        query = query.where(JobRow.status.in_(wanted.status))
    if wanted.kind is not None:
        query = query.where(JobRow.kind == wanted.kind)
    if wanted.dataset is not None:
        query = query.where(JobRow.dataset_id == wanted.dataset)
    if cursor:
        query = query.where(JobRow.id < cursor)
    return list(session.scalars(query))


def cancel(state: State, job_id: str) -> JobResource:
    """Ask a job to stop.

    Raises:
        JobNotFound: there is none.
    """
    with state.database.write_transaction() as session:
        job = lifecycle.cancel_job(session, job_id)
        state.note(session, job_id)
        return job_resource(session, job)


def retry(state: State, job_id: str) -> JobResource:
    """Queue again what did not succeed.

    Raises:
        JobNotFound, NothingToRetry, DatasetGone, IdenticalJobRunning: as `lifecycle.retry_job`.
        QuotaExceeded: the tenant has as many jobs as it may.
    """
    with state.database.write_transaction() as session:
        limits = locked_limits(session, state.principal.tenant, Limits.of(state.settings))
        job = lifecycle.retry_job(session, job_id)
        require_room_for_jobs(session, state.principal.tenant, limits)
        state.note(session, job_id)
        resource = job_resource(session, job)
        queues = lifecycle.queues_of(session, job_id)
    notify_workers(state.broker, queues)
    return resource


def delete(state: State, job_id: str) -> None:
    """Forget a job that is over.

    Raises:
        JobNotFound, JobNotOver: as `lifecycle.delete_job`.
    """
    with state.database.write_transaction() as session:
        lifecycle.delete_job(session, job_id)
        state.note(session, job_id)
