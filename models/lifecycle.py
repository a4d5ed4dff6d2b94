"""The life of jobs and steps: every change of status, each a compare-and-set inside one transaction.

Invariants: a step is written only by the holder of its lease; `jobs.steps_left` equals the number of steps that are
not terminal; the transaction that brings it to zero also writes the job's result. A change that comes too late
changes nothing and says so.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from frontrunner.data import DatasetReport
from frontrunner.errors import NothingRanked
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking import (
    Failure,
    Plan,
    Ranking,
    RankingRequest,
    StepOrder,
    StepOutput,
    assemble,
    nothing_ranked_reason,
)
from models.base import database_now, new_id
from models.dataset import DatasetRow
from models.feature import FeatureRow
from models.job import JobRow
from models.score import ScoreRow
from models.status import JOB_TRANSITIONS, STEP_TRANSITIONS, Status, sources
from models.step import StepRow

# However long a step waits, a lost message costs it no more than this.
MAX_RING_PERIOD_S = 120.0


@dataclass(frozen=True)
class Claim:
    """The right to do a step: carried by every later write."""

    step_id: str
    job_id: str
    token: str
    attempt: int
    max_attempts: int
    order: dict[str, Any]


def submit_ranking(
    session: Session,
    dataset: DatasetRow,
    request: RankingRequest,
    planned: Plan,
    orders: list[StepOrder],
    *,
    train_examples: int,
    max_attempts: int,
    first_ring_s: float,
    queue: str = "cpu",
) -> JobRow:
    """Write a ranking job and its steps, queued; the reaper rings for steps that nobody claims in `first_ring_s`."""
    job = JobRow(
        id=new_id("job"),
        kind="ranking",
        status=Status.QUEUED,
        dataset_id=dataset.id,
        request=request.model_dump(mode="json"),
        skipped=[entry.model_dump() for entry in planned.skipped],
        steps_total=len(orders),
        steps_left=len(orders),
    )
    session.add(job)
    session.flush()
    session.add_all(
        StepRow(
            id=new_id("step"),
            job_id=job.id,
            ordinal=ordinal,
            checkpoint_id=order.checkpoint.id,
            queue=queue,
            order=order.model_dump(mode="json"),
            status=Status.QUEUED,
            attempt=0,
            max_attempts=max_attempts,
            ring_at=database_now() + first_ring_s,
            examples_total=min(order.max_examples, train_examples),
        )
        for ordinal, order in enumerate(orders)
    )
    session.flush()
    return job


def claim_step(session: Session, step_id: str, lease_s: float) -> Claim | None:
    """Take a queued step; None if it is not queued, which is no error: messages may be late or doubled."""
    job_id = session.scalar(select(StepRow.job_id).where(StepRow.id == step_id, StepRow.status == Status.QUEUED))
    if job_id is None:
        return None
    # The job's row is locked before the step's, as in `cancel_job`: the other order could deadlock with it.
    job = session.get_one(JobRow, job_id, with_for_update=True)
    if job.status not in (Status.QUEUED, Status.RUNNING):
        return None
    token = secrets.token_hex(16)
    row = session.execute(
        update(StepRow)
        .where(StepRow.id == step_id, StepRow.status.in_(sources(STEP_TRANSITIONS, Status.RUNNING)))
        .values(
            status=Status.RUNNING,
            lease_token=token,
            lease_until=database_now() + lease_s,
            attempt=StepRow.attempt + 1,
            started_at=database_now(),
        )
        .returning(StepRow.job_id, StepRow.attempt, StepRow.max_attempts, StepRow.order)
    ).one_or_none()
    if row is None:
        return None
    if job.status == Status.QUEUED:
        job.status = Status.RUNNING
        job.started_at = session.scalar(select(database_now()))
    return Claim(step_id, row.job_id, token, row.attempt, row.max_attempts, row.order)


def beat(session: Session, claim: Claim, lease_s: float, done: int) -> bool:
    """Extend the lease and note progress; False where the lease is lost or the job is being cancelled."""
    job_status = session.scalar(select(JobRow.status).where(JobRow.id == claim.job_id))
    extended = _held(session, claim, lease_until=database_now() + lease_s, examples_done=done)
    return extended and job_status == Status.RUNNING


def succeed_step(session: Session, claim: Claim, output: StepOutput) -> bool:
    """Accept a step's output and, with the last one, finish the job; False where the lease is lost."""
    stored = output.model_dump(mode="json")
    if not _end_step(session, claim, Status.SUCCEEDED, output=stored, examples_done=output.examples):
        return False
    order = StepOrder.model_validate(claim.order)
    for name, score in output.scores.items():
        session.merge(
            ScoreRow(
                job_id=claim.job_id,
                checkpoint_id=order.checkpoint.id,
                name=name,
                value=score.value,
                low=score.low,
                high=score.high,
            )
        )
    session.merge(
        FeatureRow(
            key=output.feature_key,
            checkpoint_digest=order.checkpoint.digest,
            dataset_digest=order.dataset.digest,
            examples=output.examples,
            dimension=output.feature_dimension,
            bytes=output.feature_bytes,
            last_used_at=session.scalar(select(database_now())),
        )
    )
    _child_ended(session, claim.job_id)
    return True


def fail_step(session: Session, claim: Claim, code: str, reason: str) -> bool:
    """End a step for good with a stable code; the ranking goes on without it. False where the lease is lost."""
    if not _end_step(session, claim, Status.FAILED, error_code=code, error_reason=reason[:2000]):
        return False
    _child_ended(session, claim.job_id)
    return True


def give_up_attempt(session: Session, claim: Claim, code: str, reason: str) -> bool:
    """The attempt was lost through no fault of the input: queue the step again, or fail it after its last attempt."""
    if claim.attempt >= claim.max_attempts:
        return fail_step(session, claim, code, f"{reason} (attempt {claim.attempt} of {claim.max_attempts})")
    return _held(session, claim, status=Status.QUEUED, lease_token=None, lease_until=None, rings=0, ring_at=0.0)


def return_step(session: Session, claim: Claim) -> bool:
    """Hand a step back unharmed, because its worker stops: queued again, the attempt not counted."""
    return _held(
        session,
        claim,
        status=Status.QUEUED,
        lease_token=None,
        lease_until=None,
        attempt=StepRow.attempt - 1,
        rings=0,
        ring_at=0.0,
    )


def cancel_step(session: Session, claim: Claim) -> bool:
    """End a running step because its job is being cancelled; False where the lease is lost."""
    if not _end_step(session, claim, Status.CANCELLED):
        return False
    _child_ended(session, claim.job_id)
    return True


def cancel_job(session: Session, job_id: str) -> JobRow | None:
    """Ask a job to stop: queued steps end now, running ones when their worker hears of it. None if it is unknown.

    A job that is over already stays as it is.
    """
    job = session.get(JobRow, job_id, with_for_update=True)
    if job is None or Status(job.status) not in sources(JOB_TRANSITIONS, Status.CANCELLING):
        return job
    job.status = Status.CANCELLING
    session.flush()
    stopped = _rows(
        session.execute(
            update(StepRow)
            .where(StepRow.job_id == job_id, StepRow.status == Status.QUEUED)
            .values(status=Status.CANCELLED, finished_at=database_now())
        )
    )
    job.steps_left -= stopped
    if job.steps_left == 0:
        _finish_job(session, job)
    session.flush()
    return job


def expired_claims(session: Session) -> list[Claim]:
    """Steps whose lease has run out: their workers are gone or cut off."""
    rows = session.scalars(
        select(StepRow).where(StepRow.status == Status.RUNNING, StepRow.lease_until < database_now())
    )
    return [Claim(row.id, row.job_id, row.lease_token or "", row.attempt, row.max_attempts, row.order) for row in rows]


def unheard_steps(session: Session, period_s: float) -> list[tuple[str, str]]:
    """(id, queue) of queued steps that are due for a message, oldest first; each is due again after twice as long.

    A step may just be waiting for its turn behind others, so messages for it must not pile up.
    """
    now = session.scalar(select(database_now())) or 0.0
    due = session.scalars(
        select(StepRow)
        .where(StepRow.status == Status.QUEUED, StepRow.ring_at <= now)
        .order_by(StepRow.job_id, StepRow.ordinal)
    ).all()
    for step in due:
        step.rings += 1
        step.ring_at = now + min(period_s * 2**step.rings, MAX_RING_PERIOD_S)
    return [(step.id, step.queue) for step in due]


def ranking_of(session: Session, job: JobRow) -> Ranking:
    """The job's ranking: the stored result, or what its finished steps say so far."""
    if job.result is not None:
        return Ranking.model_validate(job.result)
    dataset = session.get_one(DatasetRow, job.dataset_id)
    steps = session.scalars(select(StepRow).where(StepRow.job_id == job.id).order_by(StepRow.ordinal)).all()
    planned = Plan(
        steps=tuple(CheckpointDescription.model_validate(step.order["checkpoint"]) for step in steps),
        skipped=tuple(SkippedCheckpoint.model_validate(entry) for entry in job.skipped),
    )
    outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
    for step in steps:
        if step.output is not None:
            outcomes[step.checkpoint_id] = StepOutput.model_validate(step.output)
        elif step.status in (Status.FAILED, Status.CANCELLED):
            outcomes[step.checkpoint_id] = SkippedCheckpoint(
                checkpoint=step.checkpoint_id,
                code=step.error_code or "cancelled",
                reason=step.error_reason or "the job was cancelled before this checkpoint was read",
            )
    ranking = assemble(
        job.id,
        Status(job.status).value,
        RankingRequest.model_validate(job.request),
        DatasetReport.model_validate(dataset.report),
        planned,
        outcomes,
    )
    if job.error_code is None:
        return ranking
    return ranking.model_copy(update={"failure": Failure(code=job.error_code, reason=job.error_reason or "")})


def _held(session: Session, claim: Claim, **values: Any) -> bool:
    """Write to a step under its lease; False where the lease is no longer ours."""
    result = session.execute(
        update(StepRow)
        .where(StepRow.id == claim.step_id, StepRow.lease_token == claim.token, StepRow.status == Status.RUNNING)
        .values(**values)
    )
    return _rows(result) == 1


def _end_step(session: Session, claim: Claim, status: Status, **values: Any) -> bool:
    return _held(
        session, claim, status=status, lease_token=None, lease_until=None, finished_at=database_now(), **values
    )


def _child_ended(session: Session, job_id: str) -> None:
    left = session.scalar(
        update(JobRow).where(JobRow.id == job_id).values(steps_left=JobRow.steps_left - 1).returning(JobRow.steps_left)
    )
    if left == 0:
        job = session.get_one(JobRow, job_id, populate_existing=True)
        _finish_job(session, job)
        session.flush()


def _finish_job(session: Session, job: JobRow) -> None:
    if job.status == Status.CANCELLING:
        job.status = Status.CANCELLED
    else:
        job.status = Status.SUCCEEDED
        ranking = ranking_of(session, job)
        if not ranking.ranking:
            job.status = Status.FAILED
            job.error_code = NothingRanked.code
            job.error_reason = nothing_ranked_reason(ranking.skipped)[:2000]
    job.result = ranking_of(session, job).model_dump(mode="json")
    job.finished_at = session.scalar(select(database_now()))


def _rows(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
