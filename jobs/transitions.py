"""Every change of status that may happen to a job or a step. Nothing else in the service decides on them."""

from __future__ import annotations

from frontrunner.status import Status

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


def predecessors(transitions: dict[Status, frozenset[Status]], target: Status) -> list[Status]:
    """The statuses from which `target` may be reached: what an UPDATE's WHERE clause must ask for."""
    return [status for status, targets in transitions.items() if target in targets]
