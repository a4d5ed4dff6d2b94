"""From the steps of a job to its next steps, or to its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, defer

from frontrunner.errors import MAX_REASON_CHARACTERS, FrontrunnerError
from frontrunner.status import Failure, JobResult, Status
from jobs.errors import JobNotFound
from jobs.kinds import KINDS, JobKind, JobState, NewStep
from jobs.lifecycle.events import STAGE_OVER, enqueue_deliveries, note, note_status
from jobs.lifecycle.submission import Terms, add_steps, submit
from jobs.records import json_of, state_of
from jobs.transitions import JOB_TRANSITIONS
from models.base import database_now
from models.event import EventRow
from models.job import JobRow

# Our fault: the job is lost and not failed.
PLANNER_FAILED = "internal_error"

_log = structlog.get_logger(__name__)
# A job is read far more often than what it was asked for and what came of it: those are loaded when they are looked at.
WITHOUT_JSON = tuple(defer(column) for column in (JobRow.request, JobRow.result))


def find_job(
    session: Session, job_id: str, kind: JobKind[Any, Any, Any] | None = None, *, lock: bool = False
) -> JobRow:
    """The job with this id, its row locked if asked for; of another than the given `kind` it is none.

    Raises:
        JobNotFound: there is none.
    """
    job = session.get(JobRow, job_id, options=WITHOUT_JSON, with_for_update=lock or None, populate_existing=lock)
    if job is None:
        raise JobNotFound(f"there is no job '{job_id}'")
    if kind is not None and job.kind != kind.name:
        raise JobNotFound(f"the job '{job_id}' is another kind of work; its result is at {result_url(job)}")
    return job


def result_url(job: JobRow) -> str:
    """Where the job's result is read."""
    return KINDS[job.kind].result_url(job.id)


def move(session: Session, job: JobRow, status: Status) -> None:
    """Bring a job whose row is locked to another status, and note it."""
    if status not in JOB_TRANSITIONS[Status(job.status)]:
        raise AssertionError(f"a job that is {job.status} cannot become {status}")
    job.status = status
    note_status(session, job)


def step_ended(session: Session, job: JobRow) -> None:
    """Count a step of a job whose row is locked as over, and ask the job's planner what follows."""
    job.steps_left -= 1
    continue_job(session, job)


def continue_job(session: Session, job: JobRow) -> None:
    """Add the steps that the planner of a job asks for now, or end the job with its result.

    A planner that raises holds no step back: its job goes on while steps are in hand, and is then lost, through our
    fault.
    """
    session.flush()
    state = state_of(session, job)
    if job.status == Status.CANCELLING:
        if not job.steps_left:
            _end(session, job, state, _result(job, state), Status.CANCELLED)
        return
    if all(step.status == Status.LOST for step in state.steps):
        first = state.steps[0].failure or Failure(code="", reason="")
        lost = Failure(code=first.code, reason=f"every step was lost: {first.reason}")
        _end(session, job, state, _result(job, state), Status.LOST, lost)
        return
    if not job.steps_left:
        _note_stages(session, job, state)
    answer = _asked(job, state)
    if isinstance(answer, JobResult) and not job.steps_left:
        _end(session, job, state, answer, _status(answer.failure), answer.failure)
    elif isinstance(answer, Sequence) and answer:
        add_steps(session, job, answer)


def _note_stages(session: Session, job: JobRow, state: JobState[Any, Any, Any]) -> None:
    """Tell those who watch of the stages that have ended since the last one that they were told of."""
    try:
        over = KINDS[job.kind].stages_over(state)
    except Exception:  # the planner is asked next, and says what is wrong
        _log.exception("stages_failed", job=job.id, kind=job.kind)
        return
    if not over:
        return
    last = session.scalar(
        select(EventRow.data)
        .where(EventRow.job_id == job.id, EventRow.type == STAGE_OVER)
        .order_by(EventRow.number.desc())
        .limit(1)
    )
    told = 0 if last is None else int(last["number"])
    for number, stage in enumerate(over[told:], start=told + 1):
        note(session, job, STAGE_OVER, number=number, stage=stage.model_dump(mode="json"))


def _status(failure: Failure | None) -> Status:
    if failure is None:
        return Status.SUCCEEDED
    return Status.LOST if failure.code == PLANNER_FAILED else Status.FAILED


def _asked(job: JobRow, state: JobState[Any, Any, Any]) -> Sequence[NewStep[Any]] | JobResult:
    """What the planner wants, or a result that says so where it has none when there must be one."""
    try:
        answer = KINDS[job.kind].next_steps(state)
        if isinstance(answer, JobResult) and job.steps_left:
            raise AssertionError(f"it ends the job while {job.steps_left} steps are in hand")
        if not isinstance(answer, JobResult) and not answer and not job.steps_left:
            raise AssertionError("it has neither steps nor a result")
    except SQLAlchemyError:
        raise  # the database's trouble is not the planner's: the transaction is tried again
    except Exception as error:
        _log.exception("planner_failed", job=job.id, kind=job.kind)
        if job.steps_left:
            return ()
        failure = Failure(code=PLANNER_FAILED, reason=f"the planner of {job.kind} failed: {error!r}")
        return _result(job, state).model_copy(update={"failure": failure})
    return answer


def _result(job: JobRow, state: JobState[Any, Any, Any]) -> JobResult:
    """What the kind makes of the job, or the bare minimum where it cannot."""
    try:
        return KINDS[job.kind].result(state)
    except SQLAlchemyError:
        raise
    except Exception:
        _log.exception("result_failed", job=job.id, kind=job.kind)
        return JobResult(id=job.id, status=Status(job.status))


def _end(
    session: Session,
    job: JobRow,
    state: JobState[Any, Any, Any],
    result: JobResult,
    status: Status,
    failure: Failure | None = None,
) -> None:
    """End a job whose steps are all over: its status, its result, its last event and its messages."""
    if failure is not None:
        failure = failure.model_copy(update={"reason": failure.reason[:MAX_REASON_CHARACTERS]})
        job.error_code, job.error_reason = failure.code, failure.reason
    job.result = json_of(result.model_copy(update={"status": status, "failure": failure}))
    job.finished_at = session.scalar(select(database_now()))
    move(session, job, status)
    if status == Status.SUCCEEDED:
        _submit_next(session, job, state)
    enqueue_deliveries(session, job)


def _submit_next(session: Session, job: JobRow, state: JobState[Any, Any, Any]) -> None:
    """Submit the job that is to follow, on the terms of this one; what forbids it is noted, and fails nothing."""
    try:
        new = KINDS[job.kind].next_job(state)
    except FrontrunnerError as error:
        job.next_error_code, job.next_error_reason = error.code, error.reason[:MAX_REASON_CHARACTERS]
        note(session, job, "job.next_refused", code=error.code, reason=error.reason[:MAX_REASON_CHARACTERS])
        return
    if new is None:
        return
    terms = Terms(
        job.max_attempts,
        tenant=job.tenant,
        priority=job.priority,
        correlation_id=job.correlation_id,
        trace_parent=job.trace_parent,
    )
    following = submit(session, new, terms).job
    job.next_job_id = following.id
    note(session, job, "job.next", next=following.id, kind=following.kind)
