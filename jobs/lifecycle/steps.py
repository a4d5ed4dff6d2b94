"""The life of a step: claimed under a lease, kept alive by beats, and ended or handed back by whoever holds it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue
from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, aliased

from frontrunner.errors import MAX_REASON_CHARACTERS
from frontrunner.progress import Stage
from frontrunner.status import Status
from jobs.counters import add_to_counters
from jobs.errors import JobNotFound
from jobs.kinds import KINDS
from jobs.lifecycle.events import note
from jobs.lifecycle.finishing import find_job, move, step_ended
from jobs.quotas import add_compute, tenants_without_compute
from jobs.records import accepted
from jobs.transitions import STEP_TRANSITIONS, predecessors
from models.base import database_now
from models.job import JobRow
from models.step import StepRow

# Upper bounds in seconds of the histogram of how long steps wait for their claim.
CLAIM_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
# A lost attempt is followed by a pause that doubles, up to this: long enough for a disk to be cleared.
MAX_RETRY_DELAY_S = 300.0
# Claimers that choose the same step at the same time: one gets it, the others choose again, at most this often.
_CHOICES = 50


@dataclass(frozen=True)
class Claim:
    """The right to do a step: carried by every later write."""

    step_id: str
    job_id: str
    token: str
    attempt: int
    max_attempts: int
    tenant: str
    kind: str
    name: str
    payload: str
    correlation_id: str
    trace_parent: str


@dataclass(frozen=True)
class StepProgress:
    """How far a step is: so much of so much of one stage, and what it is about."""

    stage: Stage
    done: int
    total: int
    of: str = ""


def claim_best(session: Session, queues: Collection[str], lease_s: float, compute_s: float = 0.0) -> Claim | None:
    """Take the queued step that should go first in these queues; None if there is none.

    A message says only that there is work, not which: the best step at this moment may be newer than the message.
    First come the tenants with the fewest running steps, then higher priorities, then those that waited longest.
    Choosing reads without a lock; taking is a compare-and-set under the lock of the job's row, so a step that
    somebody else took, or whose job was cancelled, in between is not taken twice: another one is chosen. Steps of
    tenants whose hour of compute is used up wait.

    Args:
        session: of a writing transaction.
        queues: whose steps may be taken.
        lease_s: how long the step is held without a beat.
        compute_s: seconds of steps an hour of tenants for which nothing else was said; 0: no limit.
    """
    passed_over = tenants_without_compute(session, compute_s)
    for _ in range(_CHOICES):
        best = session.execute(_best(queues, passed_over)).one_or_none()
        if best is None:
            return None
        claim = _take(session, best.id, best.job_id, lease_s)
        if claim is not None:
            return claim
    return None


def beat(session: Session, claim: Claim, lease_s: float, reached: StepProgress | None = None) -> bool:
    """Extend the lease and note progress since the last beat; False where the lease or the job's consent is lost."""
    before = session.execute(
        select(JobRow.status).join(StepRow, JobRow.id == StepRow.job_id).where(StepRow.id == claim.step_id)
    ).one_or_none()
    if before is None:
        return False
    counts: dict[str, int] = {}
    if reached is not None:
        job = find_job(session, claim.job_id, lock=True)
        note(session, job, "step.progress", step=claim.name, **asdict(reached))
        if reached.stage in KINDS[claim.kind].counted:
            counts = {"examples_done": reached.done, "examples_total": reached.total}
    extended = _held(session, claim, lease_until=database_now() + lease_s, **counts)
    return extended and before.status == Status.RUNNING


def note_event(session: Session, claim: Claim, type_: str, data: Mapping[str, JsonValue]) -> None:
    """Note what the work says of itself, for those who watch the job; nothing where the lease is lost."""
    job = find_job(session, claim.job_id, lock=True)
    held = select(StepRow.id).where(StepRow.id == claim.step_id, StepRow.lease_token == claim.token)
    if session.scalar(held) is not None:
        note(session, job, f"step.{type_}", **{"step": claim.name, type_: data})


def succeed_step(session: Session, claim: Claim, output: str) -> bool:
    """Accept a step's output, as JSON, and ask the job's planner what follows; False where the lease is lost."""
    job = _end(session, claim, Status.SUCCEEDED, output=output, examples_done=StepRow.examples_total)
    if job is None:
        return False
    kind = KINDS[claim.kind]
    counts = kind.record(session, job.id, *accepted(kind, claim.payload, output))
    step_ended(session, job)
    session.flush()
    add_compute(session, claim.step_id)
    add_to_counters(session, counts | {("steps", f"{claim.kind}:{Status.SUCCEEDED}"): 1})
    return True


def fail_step(session: Session, claim: Claim, code: str, reason: str) -> bool:
    """End a step through the fault of its input, with a stable code: it is not tried again. False: the lease is lost.

    The job goes on without it.
    """
    return _end_without_output(session, claim, Status.FAILED, code, reason)


def give_up_attempt(session: Session, claim: Claim, code: str, reason: str, *, delay_s: float = 0.0) -> bool:
    """The attempt was lost through no fault of the input: queue the step again, or end it as lost after its last one.

    It may be claimed again after `delay_s`, doubled with each attempt. A step whose job is being cancelled ends as
    cancelled instead. False where the lease is lost.
    """
    if claim.attempt >= claim.max_attempts:
        reason = f"{reason} (attempt {claim.attempt} of {claim.max_attempts})"
        return _end_without_output(session, claim, Status.LOST, code, reason)
    pause = min(delay_s * 2 ** (claim.attempt - 1), MAX_RETRY_DELAY_S)
    if not _requeue(session, claim, code, available_at=database_now() + pause):
        return False
    session.flush()
    add_to_counters(session, {("attempts_lost", code): 1})
    return True


def return_step(session: Session, claim: Claim) -> bool:
    """Hand a step back unharmed, because its worker stops: queued again, the attempt not counted."""
    return _requeue(session, claim, "worker_stopped", attempt=StepRow.attempt - 1)


def cancel_step(session: Session, claim: Claim) -> bool:
    """End a running step because its job is being cancelled; False where the lease is lost."""
    return _end_without_output(session, claim, Status.CANCELLED, None, None)


def expired_claims(session: Session) -> list[Claim]:
    """Steps whose lease has run out: their workers are gone or cut off."""
    rows = session.execute(
        select(StepRow, JobRow)
        .join(JobRow, JobRow.id == StepRow.job_id)
        .where(StepRow.status == Status.RUNNING, StepRow.lease_until < database_now())
    )
    return [_claim(row, job, row.lease_token or "", row.attempt) for row, job in rows]


def _best(queues: Collection[str], passed_over: Sequence[str]) -> Any:
    other = aliased(StepRow)
    running = (
        select(other.tenant, func.count().label("steps"))
        .where(other.status == Status.RUNNING)
        .group_by(other.tenant)
        .subquery()
    )
    waiting = select(StepRow.id, StepRow.job_id)
    if passed_over:
        waiting = waiting.where(StepRow.tenant.not_in(passed_over))
    return (
        waiting.outerjoin(running, running.c.tenant == StepRow.tenant)
        # Written out and not bound, so that the index of waiting steps serves.
        .where(StepRow.status == literal(Status.QUEUED.value, literal_execute=True))
        .where(StepRow.queue.in_(queues), StepRow.available_at <= database_now())
        .order_by(
            func.coalesce(running.c.steps, 0),
            StepRow.priority.desc(),
            StepRow.available_at,
            StepRow.ordinal,
            StepRow.id,
        )
        .limit(1)
    )


def _take(session: Session, step_id: str, job_id: str, lease_s: float) -> Claim | None:
    try:
        job = find_job(session, job_id, lock=True)
    except JobNotFound:
        return None
    if job.status not in (Status.QUEUED, Status.RUNNING):
        return None
    token = secrets.token_hex(16)
    waited: ColumnElement[float] = database_now() - StepRow.available_at
    row = session.execute(
        update(StepRow)
        .where(StepRow.id == step_id, StepRow.status.in_(predecessors(STEP_TRANSITIONS, Status.RUNNING)))
        .values(
            status=Status.RUNNING,
            lease_token=token,
            lease_until=database_now() + lease_s,
            attempt=StepRow.attempt + 1,
            started_at=database_now(),
        )
        .returning(StepRow, waited.label("waited"))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        return None
    if job.status == Status.QUEUED:
        if job.started_at is None:
            job.started_at = session.scalar(select(database_now()))
        move(session, job, Status.RUNNING)
    step = row.StepRow
    note(session, job, "step.running", step=step.name, attempt=step.attempt)
    session.flush()
    _count_wait(session, step.queue, max(0.0, row.waited))
    return _claim(step, job, token, step.attempt)


def _claim(step: StepRow, job: JobRow, token: str, attempt: int) -> Claim:
    return Claim(
        step_id=step.id,
        job_id=step.job_id,
        token=token,
        attempt=attempt,
        max_attempts=step.max_attempts,
        tenant=step.tenant,
        kind=step.kind,
        name=step.name,
        payload=step.payload,
        correlation_id=job.correlation_id,
        trace_parent=job.trace_parent,
    )


def _count_wait(session: Session, queue: str, waited_s: float) -> None:
    bucket = next((f"{bound:g}" for bound in CLAIM_BUCKETS_S if waited_s <= bound), "+Inf")
    add_to_counters(session, {("claim_seconds", f"{queue}:{bucket}"): 1, ("claim_seconds_sum", queue): waited_s})


def _held(session: Session, claim: Claim, **values: Any) -> bool:
    """Write to a step under its lease; False where the lease is no longer ours."""
    result = session.execute(
        update(StepRow)
        .where(StepRow.id == claim.step_id, StepRow.lease_token == claim.token, StepRow.status == Status.RUNNING)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return isinstance(result, CursorResult) and result.rowcount == 1


def _end(session: Session, claim: Claim, status: Status, **values: Any) -> JobRow | None:
    """End a step under its lease; its job, locked, or None where the lease is no longer ours."""
    try:
        job = find_job(session, claim.job_id, lock=True)
    except JobNotFound:
        return None
    released = {"lease_token": None, "lease_until": None, "finished_at": database_now()}
    if not _held(session, claim, status=status, **released, **values):
        return None
    failure = {"code": values["error_code"], "reason": values["error_reason"]} if values.get("error_code") else {}
    note(session, job, f"step.{status}", step=claim.name, attempt=claim.attempt, **failure)
    return job


def _end_without_output(session: Session, claim: Claim, status: Status, code: str | None, reason: str | None) -> bool:
    shown = None if reason is None else reason[:MAX_REASON_CHARACTERS]
    job = _end(session, claim, status, error_code=code, error_reason=shown)
    if job is None:
        return False
    step_ended(session, job)
    session.flush()
    add_compute(session, claim.step_id)
    counts = {("steps", f"{claim.kind}:{status}"): 1.0}
    if status == Status.LOST:
        counts["attempts_lost", code or ""] = 1
    add_to_counters(session, counts)
    return True


def _requeue(session: Session, claim: Claim, code: str, **values: Any) -> bool:
    try:
        job = find_job(session, claim.job_id, lock=True)
    except JobNotFound:
        return False
    if job.status == Status.CANCELLING:
        return cancel_step(session, claim)
    if not _held(session, claim, status=Status.QUEUED, lease_token=None, lease_until=None, **values):
        return False
    note(session, job, "step.queued", step=claim.name, attempt=claim.attempt, code=code)
    session.flush()
    add_compute(session, claim.step_id)
    return True
