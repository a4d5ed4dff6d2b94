"""What a kind of job is: the types of its request, payloads and outputs, its planner, and the work of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from frontrunner.data import DatasetReport
from frontrunner.progress import Event, Progress, Stage
from frontrunner.status import Failure, JobResult, Status

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

RequestT = TypeVar("RequestT", bound=BaseModel)
PayloadT = TypeVar("PayloadT", bound=BaseModel)
OutputT = TypeVar("OutputT", bound=BaseModel)

# Amounts by (name, label), for the counters that /metrics shows.
Counts: TypeAlias = dict[tuple[str, str], float]


@dataclass(frozen=True)
class NewStep(Generic[PayloadT]):
    """A step to be written.

    Attributes:
        name: unique in its job.
        payload: all that a runner needs to know.
        queue: `io`, `cpu` or `gpu`.
        examples_total: what its progress counts up to, as far as is known.
        dataset_digests: the datasets whose cached features it needs: they stay while the job is not over.
    """

    name: str
    payload: PayloadT
    queue: str = "cpu"
    examples_total: int = 0
    dataset_digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewJob:
    """A job to be written: its kind's name, and all that its planner needs to know."""

    kind: str
    request: BaseModel
    dataset_id: str | None = None


class StepState(Generic[PayloadT, OutputT]):
    """A step as it stands. Payload and output are loaded and parsed when they are first asked for.

    Attributes:
        name: unique in its job.
        status: where it stands.
        failure: why it failed or was lost; None otherwise.
    """

    def __init__(
        self,
        name: str,
        status: Status,
        failure: Failure | None,
        payload: Callable[[], PayloadT],
        output: Callable[[], OutputT],
    ) -> None:
        self.name = name
        self.status = status
        self.failure = failure
        self._payload = payload
        self._output = output

    @cached_property
    def payload(self) -> PayloadT:
        """What its runner was told."""
        return self._payload()

    @cached_property
    def output(self) -> OutputT | None:
        """What its runner answered; None unless it succeeded."""
        return self._output() if self.status == Status.SUCCEEDED else None


class JobState(Generic[RequestT, PayloadT, OutputT]):
    """A job as it stands: all that its planner and its result may rest on.

    Attributes:
        id: the job's.
        status: where it stands.
        failure: why it failed or was lost; None otherwise.
        steps: in the order in which they were made.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the job's own word for it
        status: Status,
        failure: Failure | None,
        steps: Sequence[StepState[PayloadT, OutputT]],
        request: Callable[[], RequestT],
        report: Callable[[], DatasetReport],
    ) -> None:
        self.id = id
        self.status = status
        self.failure = failure
        self.steps = tuple(steps)
        self._request = request
        self._report = report

    @cached_property
    def request(self) -> RequestT:
        """What was asked for, with everything that was settled when it was submitted."""
        return self._request()

    @cached_property
    def report(self) -> DatasetReport:
        """The check of its dataset. Asked of jobs that have one."""
        return self._report()

    @property
    def is_in_hand(self) -> bool:
        """Whether some step still waits or runs."""
        return any(not step.status.is_terminal for step in self.steps)


class JobKind(Protocol[RequestT, PayloadT, OutputT]):
    """One kind of job; a subclass in a folder of `jobs.kinds` is all that a new kind needs.

    `next_steps`, `result`, `stages_over` and `next_job` are pure: the same job gives the same answer, whatever the
    time and the disk.

    Attributes:
        name: names the kind in rows and answers; stable.
        request: the model of what a job of this kind stores about itself.
        payload: the model of what a step's runner is told.
        output: the model of what it answers.
        counted: the stages whose count is the step's progress in examples.
        leaves_files: whether steps leave files in the store, by their `files_name`; they go when their last job does.
    """

    name: str
    request: type[RequestT]
    payload: type[PayloadT]
    output: type[OutputT]
    counted: frozenset[Stage]
    leaves_files: bool = False

    def result_url(self, job_id: str) -> str:
        """Where the result is read, partial while the job runs."""
        ...

    def next_steps(self, job: JobState[RequestT, PayloadT, OutputT]) -> Sequence[NewStep[PayloadT]] | JobResult:
        """The planner: the steps to add now, none to wait for those in hand, or the result that ends the job.

        Asked when a job is submitted, where it must give at least one step, and in the transaction that ends each
        step. A step that failed or was lost has no `output`: look at its `failure`. A result with a `failure` fails
        the job; a planner that raises, or has nothing to say when no step is in hand, loses it. It is
        not asked any more once the job is being cancelled, or where every step was lost. Workers find added steps when
        they poll.
        """
        ...

    def result(self, job: JobState[RequestT, PayloadT, OutputT]) -> JobResult:
        """The result as the job stands: partial while it runs."""
        ...

    def run(self, payload: PayloadT, progress: Progress) -> OutputT:
        """The work of one step, in a runner. Whatever is heavy is imported here.

        Raises:
            FrontrunnerError: the input's fault: the step fails with this code and is not tried again.
        """
        ...

    def stages_over(self, job: JobState[RequestT, PayloadT, OutputT]) -> Sequence[Event]:
        """The stages that are over, in their order, of a job with no step in hand; none of kinds without stages."""
        return ()

    def next_job(self, job: JobState[RequestT, PayloadT, OutputT]) -> NewJob | None:
        """The job that was asked to follow on this one, which has succeeded; None where none was.

        Raises:
            FrontrunnerError: it cannot be made out of this one's result.
        """
        return None

    def record(self, session: Session, job_id: str, payload: PayloadT, output: OutputT) -> Counts:
        """Write what an accepted step leaves behind beside its output; what it adds to the counters.

        Called once for each accepted output, in its transaction.
        """
        return {}

    def files_name(self, payload: PayloadT) -> str:
        """What a step's artifacts are called. Asked of kinds that leave any."""
        raise AssertionError(f"steps of {self.name} leave no files")

    def folders(self, payload: PayloadT) -> Sequence[str]:
        """The folders below a runner's `work` that a step writes to: it can write to no others."""
        return ()


class OneStepKind(JobKind[RequestT, PayloadT, OutputT], Protocol[RequestT, PayloadT, OutputT]):
    """A kind whose jobs are one step, and then the result."""

    def step(self, request: RequestT) -> NewStep[PayloadT]:
        """The step of a job."""
        ...

    def next_steps(self, job: JobState[RequestT, PayloadT, OutputT]) -> Sequence[NewStep[PayloadT]] | JobResult:
        """The one step, then the result."""
        if job.is_in_hand:
            return ()
        return self.result(job) if job.steps else (self.step(job.request),)
