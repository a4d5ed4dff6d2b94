"""Statuses of jobs and steps, and every transition that may happen. Nothing else in the service decides on them."""

from __future__ import annotations

from enum import StrEnum


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

JOB_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLING}),
    Status.RUNNING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.LOST, Status.CANCELLING}),
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    # Back to queued: a retry of what did not succeed. A job may succeed although some of its steps did not.
    Status.SUCCEEDED: frozenset({Status.QUEUED}),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.LOST: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
}

# A step needs no "cancelling": its runner is killed and the row says cancelled in one transaction.
STEP_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    # Back to queued: the lease ran out, the runner died, or the worker was asked to stop.
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.LOST, Status.CANCELLED}),
    Status.CANCELLING: frozenset(),
    Status.SUCCEEDED: frozenset(),  # an accepted result is never asked for again
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.LOST: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
}


def sources(transitions: dict[Status, frozenset[Status]], target: Status) -> list[Status]:
    """The statuses from which `target` may be reached: what an UPDATE's WHERE clause must ask for."""
    return [status for status, targets in transitions.items() if target in targets]
