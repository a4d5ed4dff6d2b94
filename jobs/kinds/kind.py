"""What a kind of job says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel
from sqlalchemy.orm import Session

from frontrunner.data import DatasetReport
from frontrunner.status import Failure, Status

# Amounts by (name, label), for the counters that /metrics shows.
Counts: TypeAlias = dict[tuple[str, str], float]


@dataclass(frozen=True)
class NewStep:
    """A step to be written.

    Attributes:
        name: unique in its job.
        order: JSON, all that the runner needs.
        queue: `io`, `cpu` or `gpu`.
        examples_total: what its progress counts up to.
        dataset_digests: the datasets whose cached features it needs: they stay while the job is not over.
    """

    name: str
    order: dict[str, Any]
    queue: str = "cpu"
    examples_total: int = 0
    dataset_digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewJob:
    """A job to be written: what is asked, what was settled at once, and its steps, at least one."""

    kind: str
    request: dict[str, Any]
    plan: dict[str, Any]
    steps: tuple[NewStep, ...]
    dataset_id: str | None = None


@dataclass(frozen=True)
class StepState:
    """A step as it stands. `output` is set exactly where it succeeded."""

    name: str
    status: Status
    order: dict[str, Any]
    output: dict[str, Any] | None
    error_code: str | None
    error_reason: str | None


@dataclass(frozen=True)
class JobState:
    """A job as it stands: everything that its result may rest on.

    Attributes:
        request: what was asked, as it was submitted.
        plan: what was settled at submission.
        report: of the job's dataset, where it has one.
        steps: in their order.
        failure: why it failed or was lost; None otherwise.
    """

    id: str
    status: Status
    request: dict[str, Any]
    plan: dict[str, Any]
    report: DatasetReport | None
    steps: tuple[StepState, ...]
    failure: Failure | None


class JobKind(Protocol):
    """One kind of job. `failure` and `result` are pure: they read no clock, file or database."""

    @property
    def name(self) -> str:
        """Names the kind in rows and answers; stable."""
        ...

    @property
    def folder_of(self) -> Callable[[dict[str, Any]], Path] | None:
        """From a step's order to the folder of its files, which goes when the job does; None where steps leave none."""
        ...

    def result_url(self, job_id: str) -> str:
        """Where the result is read, partial while the job runs."""
        ...

    def failure(self, job: JobState) -> Failure | None:
        """Why a job whose steps are all over has failed; None where it has not.

        Not asked of a job that was cancelled, or all of whose steps were lost.
        """
        ...

    def result(self, job: JobState) -> BaseModel:
        """The result of the job as it stands: partial while it runs, and the final one, which is stored."""
        ...

    def next_job(self, job: JobState) -> NewJob | None:
        """The job that was asked to follow on this one, which has succeeded; None where none was.

        Raises:
            FrontrunnerError: it cannot be made out of this one's result.
        """
        ...

    def record(self, session: Session, job_id: str, step: StepState) -> Counts:
        """Write what an accepted step leaves behind beside its output; what it adds to the counters.

        Called once for each accepted output, in its transaction.
        """
        ...
