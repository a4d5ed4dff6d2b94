"""What cannot be done with a job as it stands."""

from __future__ import annotations

from frontrunner.errors import FrontrunnerError


class JobNotFound(FrontrunnerError):
    """No job has the given id."""

    code = "not_found"


class JobConflict(FrontrunnerError):
    """The job's status does not admit this."""

    code = "job_conflict"


class JobNotOver(JobConflict):
    """The job still waits or runs."""

    code = "job_not_over"


class DatasetInUse(JobConflict):
    """A job that is not over reads the dataset."""

    code = "dataset_in_use"


class DatasetGone(JobConflict):
    """A dataset that the job reads was deleted."""

    code = "dataset_gone"


class NothingToRetry(JobConflict):
    """Every step of the job succeeded, or the job is not over."""

    code = "nothing_to_retry"


class IdenticalJobRunning(JobConflict):
    """Another job is doing the same work already."""

    code = "identical_job_running"


class IdempotencyKeyReused(FrontrunnerError):
    """The idempotency key was sent before, with another request."""

    code = "idempotency_key_reused"
