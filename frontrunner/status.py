"""Where a job or one of its steps stands, why it failed, and what every result says: words that all rooms share."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Status(StrEnum):
    """Where a job or a step stands.

    `failed` is the input's fault: doing it again would end the same way. `lost` is ours: a worker or a runner died,
    or a disk was full, as often as we were ready to try again.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether it is over: nothing happens to it any more unless somebody asks for a retry."""
        return self in TERMINAL


ACTIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.CANCELLING})
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.LOST, Status.CANCELLED})


class Failure(BaseModel):
    """Why a job or a step did not succeed.

    Attributes:
        code: stable, for programs.
        reason: for people: what was given, what was expected, what to do.
    """

    code: str
    reason: str


class JobResult(BaseModel):
    """What the result of every kind of job says; partial while `status` is queued or running."""

    model_config = ConfigDict(frozen=True)

    id: str
    status: Status
    failure: Failure | None = None
