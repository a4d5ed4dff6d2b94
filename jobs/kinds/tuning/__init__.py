"""Tunings: one step makes one model out of the best checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel

from frontrunner.progress import Progress, Stage
from frontrunner.settings import get_settings
from frontrunner.store import open_store
from frontrunner.tuning import Tuning, TuningOutput, TuningPayload, tuned_once
from jobs.kinds.kind import Counts, JobState, NewJob, NewStep, OneStepKind

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class TuningJob(BaseModel):
    """A tuning as its job stores it.

    Attributes:
        payload: the work of its one step.
        train_examples: of the dataset.
        queue: where steps that run models wait.
    """

    payload: TuningPayload
    train_examples: int
    queue: str

    @property
    def examples_total(self) -> int:
        """Examples that training goes through, roughly: sweeps and early ends change it."""
        request = self.payload.request
        examples = min(self.train_examples, request.max_examples)
        return int(request.epochs * examples * (1 - request.validation_share))


_State: TypeAlias = JobState[TuningJob, TuningPayload, TuningOutput]


class TuningKind(OneStepKind[TuningJob, TuningPayload, TuningOutput]):
    """One step, whose output says what was made; its files are in the store."""

    name = "tuning"
    request = TuningJob
    payload = TuningPayload
    output = TuningOutput
    counted = frozenset({Stage.TRAIN})
    leaves_files = True

    def result_url(self, job_id: str) -> str:
        """The tuning."""
        return f"/v1/tunings/{job_id}"

    def step(self, request: TuningJob) -> NewStep[TuningPayload]:
        """The whole tuning."""
        read = (request.payload.dataset, request.payload.source)
        digests = tuple(dataset.digest for dataset in read if dataset is not None)
        return NewStep("model", request.payload, request.queue, request.examples_total, digests)

    def result(self, job: _State) -> Tuning:
        """What was asked, and what was made of it once that is there."""
        (step,) = job.steps
        payload = step.payload
        return Tuning(
            id=job.id,
            status=job.status,
            dataset=payload.dataset.name,
            method=payload.request.method,
            student=None if payload.student is None else payload.student.id,
            teachers=[teacher.id for teacher in payload.teachers],
            output=step.output,
            failure=job.failure or step.failure,
        )

    def run(self, payload: TuningPayload, progress: Progress) -> TuningOutput:
        """Train, measure and export, or find that it was done before."""

        def tune(work: TuningPayload) -> TuningOutput:
            from frontrunner.tuning.run import run_tuning

            return run_tuning(work, progress)

        settings = get_settings()
        here = payload.model_copy(update={"folder": settings.work.resolve()})
        return tuned_once(here, tune, open_store(settings))

    def record(self, session: Session, job_id: str, payload: TuningPayload, output: TuningOutput) -> Counts:
        """What the student reached, as a row of the history."""
        from jobs.history import record_tuning  # a runner needs no tables

        record_tuning(session, job_id, payload, output)
        return {}

    def files_name(self, payload: TuningPayload) -> str:
        """The tuning's own name."""
        return payload.name

    def folders(self, payload: TuningPayload) -> Sequence[str]:
        """That of its state, which is called the same."""
        return (payload.name,)


KIND = TuningKind()


def tuning_job(payload: TuningPayload, dataset_id: str, train_examples: int, queue: str) -> NewJob:
    """The job of a tuning."""
    return NewJob(KIND.name, TuningJob(payload=payload, train_examples=train_examples, queue=queue), dataset_id)


__all__ = ["KIND", "tuning_job"]
