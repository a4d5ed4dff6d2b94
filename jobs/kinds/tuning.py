"""Tunings: one step makes one model out of the best checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from frontrunner.status import Failure
from frontrunner.tuning import Tuning, TuningOutput, TuningPayload
from jobs.kinds.kind import Counts, JobState, NewJob, NewStep, StepState

STEP = "model"


def tuning_job(order: TuningPayload, dataset_id: str, train_examples: int, *, forward_queue: str) -> NewJob:
    """The job of a tuning. What its progress counts up to is known roughly: sweeps and early ends change it."""
    request = order.request
    examples = min(train_examples, request.max_examples)
    return NewJob(
        kind=TuningKind.name,
        request={"source": None if order.source is None else order.source.digest, **request.model_dump(mode="json")},
        plan={},
        steps=(
            NewStep(
                name=STEP,
                order=order.model_dump(mode="json"),
                queue=forward_queue,
                examples_total=int(request.epochs * examples * (1 - request.validation_share)),
                dataset_digests=(order.dataset.digest,),
            ),
        ),
        dataset_id=dataset_id,
    )


class TuningKind:
    """See `JobKind`."""

    name = "tuning"

    def folder_of(self, order: dict[str, Any]) -> Path:
        """Its files: the order's own folder."""
        return TuningPayload.model_validate(order).work_dir

    def result_url(self, job_id: str) -> str:
        """See `JobKind`."""
        return f"/v1/tunings/{job_id}"

    def failure(self, job: JobState) -> Failure | None:
        """Its one step's."""
        (step,) = job.steps
        return None if step.error_code is None else Failure(code=step.error_code, reason=step.error_reason or "")

    def result(self, job: JobState) -> Tuning:
        """See `JobKind`."""
        (step,) = job.steps
        order = TuningPayload.model_validate(step.order)
        return Tuning(
            id=job.id,
            status=job.status.value,
            dataset=order.dataset.name,
            method=order.request.method,
            student=None if order.student is None else order.student.id,
            teachers=[teacher.id for teacher in order.teachers],
            output=None if step.output is None else TuningOutput.model_validate(step.output),
            failure=job.failure,
        )

    def next_job(self, job: JobState) -> None:
        """Nothing follows."""

    def record(self, session: Session, job_id: str, step: StepState) -> Counts:
        """Nothing is kept beside the output; its files lie in the folder that it names."""
        return {}
