"""From the steps of a job to its result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from frontrunner.data import DatasetReport
from frontrunner.errors import FrontrunnerError
from frontrunner.status import Failure, Status
from jobs.errors import JobNotFound
from jobs.kinds import KINDS, JobState, StepState
from jobs.lifecycle.events import note, note_status, post
from jobs.lifecycle.submission import Terms, submit
from jobs.transitions import JOB_TRANSITIONS
from models.base import database_now
from models.dataset import DatasetRow
from models.job import JobRow
from models.step import StepRow

MAX_REASON = 2000
# A job is read far more often than what it was asked for and what came of it: those are loaded when they are looked at.
WITHOUT_JSON = tuple(defer(column) for column in (JobRow.request, JobRow.plan, JobRow.result))


def find_job(session: Session, job_id: str, *, lock: bool = False) -> JobRow:
    """The job with this id, its row locked if asked for.

    Raises:
        JobNotFound: there is none.
    """
    job = session.get(JobRow, job_id, options=WITHOUT_JSON, with_for_update=lock or None, populate_existing=lock)
    if job is None:
        raise JobNotFound(f"there is no job '{job_id}'")
    return job


def result_url(job: JobRow) -> str:
    """Where the job's result is read."""
    return KINDS[job.kind].result_url(job.id)


def result_of(session: Session, job: JobRow) -> dict[str, Any]:
    """The job's result as JSON: the stored one, or what its finished steps say so far."""
    if job.result is not None:
        return job.result
    return KINDS[job.kind].result(_state_of(session, job)).model_dump(mode="json")


def move(session: Session, job: JobRow, status: Status) -> None:
    """Bring a job whose row is locked to another status, and note it."""
    if status not in JOB_TRANSITIONS[Status(job.status)]:
        raise AssertionError(f"a job that is {job.status} cannot become {status}")
    job.status = status
    note_status(session, job)


def step_ended(session: Session, job: JobRow) -> None:
    """Count a step of a job whose row is locked as over; with the last one, finish the job."""
    job.steps_left -= 1
    if job.steps_left == 0:
        finish(session, job)


def finish(session: Session, job: JobRow) -> None:
    """End a job whose steps are all over: its status, its result, its last event and its outbox."""
    session.flush()
    state = _state_of(session, job)
    status, failure = _ending(state, job.kind)
    if failure is not None:
        job.error_code, job.error_reason = failure.code, failure.reason[:MAX_REASON]
    job.result = KINDS[job.kind].result(replace(state, status=status, failure=failure)).model_dump(mode="json")
    job.finished_at = session.scalar(select(database_now()))
    move(session, job, status)
    if status == Status.SUCCEEDED:
        _follow_up(session, job, replace(state, status=status))
    post(session, job)


def _follow_up(session: Session, job: JobRow, state: JobState) -> None:
    """Submit the job that is to follow, on the terms of this one; what forbids it is noted, and fails nothing."""
    try:
        new = KINDS[job.kind].next_job(state)
    except FrontrunnerError as error:
        job.plan = job.plan | {"next_refused": {"code": error.code, "reason": error.reason[:MAX_REASON]}}
        note(session, job, "job.next_refused", code=error.code, reason=error.reason[:MAX_REASON])
        return
    if new is None:
        return
    attempts = session.scalar(select(StepRow.max_attempts).where(StepRow.job_id == job.id).limit(1)) or 1
    terms = Terms(attempts, tenant=job.tenant, priority=job.priority, correlation_id=job.correlation_id)
    following = submit(session, new, terms).job
    job.plan = job.plan | {"next": following.id}
    note(session, job, "job.next", next=following.id, kind=following.kind)


def _ending(state: JobState, kind: str) -> tuple[Status, Failure | None]:
    if state.status == Status.CANCELLING:
        return Status.CANCELLED, None
    if all(step.status == Status.LOST for step in state.steps):
        first = state.steps[0]
        return Status.LOST, Failure(code=first.error_code or "", reason=f"every step was lost: {first.error_reason}")
    failure = KINDS[kind].failure(state)
    return (Status.SUCCEEDED, None) if failure is None else (Status.FAILED, failure)


def _state_of(session: Session, job: JobRow) -> JobState:
    dataset = None if job.dataset_id is None else session.get_one(DatasetRow, job.dataset_id)
    steps = session.scalars(
        select(StepRow)
        .where(StepRow.job_id == job.id)
        .order_by(StepRow.ordinal)
        .execution_options(populate_existing=True)
    )
    return JobState(
        id=job.id,
        status=Status(job.status),
        request=job.request,
        plan=job.plan,
        report=None if dataset is None else DatasetReport.model_validate(dataset.report),
        steps=tuple(
            StepState(step.name, Status(step.status), step.order, step.output, step.error_code, step.error_reason)
            for step in steps
        ),
        failure=None if job.error_code is None else Failure(code=job.error_code, reason=job.error_reason or ""),
    )
