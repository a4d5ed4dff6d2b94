"""How far a job is, as people want to know it: what is in hand, how much is done, and how long it may still take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.jobs.resource import JobResource, job_resource
from frontrunner.status import Status
from models import JobRow, StepRow, database_now

# Steps that are shown one by one; the rest is counted.
_SHOWN = 20


@dataclass(frozen=True)
class StepInHand:
    """A step that a worker does, or that waits to be done again.

    Attributes:
        name: of a ranking the checkpoint's id, with what it reads behind it.
        status: running or queued.
        attempt: the how manieth try it is.
        attempts: how many there may be.
        done, total: examples.
        left_s: about how long it may still take; None where nothing can be said.
    """

    name: str
    status: Status
    attempt: int
    attempts: int
    done: int
    total: int
    left_s: float | None


@dataclass(frozen=True)
class Standing:
    """A job, and how far it is.

    Attributes:
        job: as the API shows it.
        in_hand: steps that run, and those that are to be tried again.
        waiting: steps that nobody has tried yet.
        version: number of its last event: who watches goes on from there.
        left_s: about how long it may still take; None where nothing can be said.
    """

    job: JobResource
    in_hand: Sequence[StepInHand]
    waiting: int
    version: int
    left_s: float | None

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more."""
        return self.job.status.is_terminal

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        progress = self.job.progress
        if self.is_over:
            return 1.0
        if progress.examples_total:
            return min(progress.examples_done / progress.examples_total, 1.0)
        return progress.steps_done / max(progress.steps_total, 1)


def standing_of(session: Session, job: JobRow) -> Standing:
    """How far a job is now."""
    resource = job_resource(session, job)
    if resource.status.is_terminal:
        return Standing(resource, (), 0, job.version, None)
    now = session.scalar(select(database_now())) or 0.0
    tried = (StepRow.status == Status.RUNNING) | ((StepRow.status == Status.QUEUED) & (StepRow.attempt > 0))
    rows = session.execute(
        select(
            StepRow.name,
            StepRow.status,
            StepRow.attempt,
            StepRow.max_attempts,
            StepRow.examples_done,
            StepRow.examples_total,
            StepRow.started_at,
        )
        .where(StepRow.job_id == job.id, tried)
        .order_by(StepRow.status.desc(), StepRow.ordinal)
        .limit(_SHOWN)
    )
    in_hand = [
        StepInHand(
            row.name,
            Status(row.status),
            row.attempt,
            row.max_attempts,
            row.examples_done,
            row.examples_total,
            _left(row.started_at, now, row.examples_done, row.examples_total),
        )
        for row in rows
    ]
    fresh = (StepRow.job_id == job.id) & (StepRow.status == Status.QUEUED) & (StepRow.attempt == 0)
    waiting = session.scalar(select(func.count()).select_from(StepRow).where(fresh)) or 0
    progress = resource.progress
    left_s = _left(job.started_at, now, progress.examples_done, progress.examples_total)
    return Standing(resource, in_hand, waiting, job.version, left_s)


def _left(started_at: float | None, now: float, done: int, total: int) -> float | None:
    """At the pace so far."""
    if started_at is None or not 0 < done < total:
        return None
    return max(now - started_at, 0.0) * (total - done) / done
