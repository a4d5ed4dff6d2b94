"""Writing a job: once for one request, however often it is sent, and once for work that is under way already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from frontrunner.status import JobResult, Status
from jobs.errors import IdempotencyKeyReused
from jobs.kinds import KINDS, NewJob, NewStep
from jobs.lifecycle.events import note_status
from jobs.records import json_of, state_of, step_rows
from models.base import database_now, new_id
from models.idempotency import IdempotencyRow
from models.job import JobRow
from models.tenant import DEFAULT_TENANT


@dataclass(frozen=True)
class IdempotencyKey:
    """The client's name for its request, and the digest of what it sent."""

    key: str
    body_digest: str
    kept_s: float


@dataclass(frozen=True)
class Terms:
    """Who asks for a job, and how it is to be done."""

    max_attempts: int
    tenant: str = DEFAULT_TENANT
    priority: int = 5
    correlation_id: str = ""
    trace_parent: str = ""
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True)
class Submitted:
    """The job of a request; `is_new` where this request made it."""

    job: JobRow
    is_new: bool


def submit(session: Session, new: NewJob, terms: Terms) -> Submitted:
    """Write a job and its steps, queued - or find the one that the same request made, or that does the same work.

    Raises:
        IdempotencyKeyReused: the key came with another request before.
        IntegrityError: another process wrote the same key or the same work at this moment; try again.
    """
    known = None if terms.idempotency is None else _job_of_key(session, terms.tenant, terms.idempotency)
    if known is not None:
        return Submitted(known, is_new=False)
    digest = _work_digest(new)
    job = session.scalar(
        select(JobRow).where(
            JobRow.tenant == terms.tenant,
            JobRow.work_digest == digest,
            JobRow.status.in_((Status.QUEUED, Status.RUNNING)),
        )
    )
    is_new = job is None
    if job is None:
        job = _write(session, new, terms, digest)
    if terms.idempotency is not None:
        session.add(
            IdempotencyRow(
                tenant=terms.tenant,
                key=terms.idempotency.key,
                body_digest=terms.idempotency.body_digest,
                job_id=job.id,
                expires_at=(session.scalar(select(database_now())) or 0.0) + terms.idempotency.kept_s,
            )
        )
        session.flush()
    return Submitted(job, is_new)


def _work_digest(new: NewJob) -> str:
    """Names the work itself: its kind, and all that its planner knows."""
    return hashlib.sha256(f"{new.kind}\n{json_of(new.request)}".encode()).hexdigest()


def _job_of_key(session: Session, tenant: str, given: IdempotencyKey) -> JobRow | None:
    named = (IdempotencyRow.tenant == tenant, IdempotencyRow.key == given.key)
    session.execute(delete(IdempotencyRow).where(*named, IdempotencyRow.expires_at < database_now()))
    known = session.scalar(select(IdempotencyRow).where(*named))
    if known is None:
        return None
    if known.body_digest != given.body_digest:
        raise IdempotencyKeyReused(
            f"the Idempotency-Key '{given.key}' was sent before with another request; use a new key for a new request"
        )
    return session.get_one(JobRow, known.job_id)


def _write(session: Session, new: NewJob, terms: Terms, digest: str) -> JobRow:
    job = JobRow(
        id=new_id("job"),
        tenant=terms.tenant,
        kind=KINDS[new.kind].name,
        status=Status.QUEUED,
        priority=terms.priority,
        dataset_id=new.dataset_id,
        request=json_of(new.request),
        work_digest=digest,
        correlation_id=terms.correlation_id,
        trace_parent=terms.trace_parent,
        version=0,
        max_attempts=terms.max_attempts,
        steps_total=0,
        steps_left=0,
    )
    session.add(job)
    session.flush()
    steps = KINDS[job.kind].next_steps(state_of(session, job))
    if isinstance(steps, JobResult) or not steps:
        raise AssertionError(f"the planner of {job.kind} begins without a step")
    add_steps(session, job, steps)
    note_status(session, job)
    session.flush()
    return job


def add_steps(session: Session, job: JobRow, steps: Sequence[NewStep[Any]]) -> None:
    """Write the steps that a planner asks for, queued, and count them; the job's row is locked or new."""
    rows = step_rows(job, steps, first=job.steps_total)
    for row in rows:
        row.id, row.status, row.attempt, row.available_at = new_id("step"), Status.QUEUED, 0, database_now()
    session.add_all(rows)
    job.steps_total += len(rows)
    job.steps_left += len(rows)
    session.flush()
