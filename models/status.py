"""Statuses of jobs and steps, and every transition that may happen. Nothing else in the service decides on them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a job or a step stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


JOB_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLING}),
    Status.RUNNING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLING}),
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}

# A step needs no "cancelling": its runner is killed and the row says cancelled in one transaction.
STEP_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    # Back to queued: the lease ran out, the runner died, or the worker was asked to stop.
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}),
    Status.CANCELLING: frozenset(),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def sources(transitions: dict[Status, frozenset[Status]], target: Status) -> list[Status]:
    """The statuses from which `target` may be reached: what an UPDATE's WHERE clause must ask for."""
    return [status for status, targets in transitions.items() if target in targets]
