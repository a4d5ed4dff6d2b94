"""Distances between datasets: one step reads them all through one checkpoint and measures."""

from __future__ import annotations

from sqlalchemy.orm import Session

from frontrunner.ranking import TaskDistanceMatrix, TaskDistancePayload, TaskDistances
from frontrunner.status import Failure
from jobs.kinds.kind import Counts, JobState, NewJob, NewStep, StepState


def task_distances_job(order: TaskDistancePayload, examples: int, *, forward_queue: str) -> NewJob:
    """The job of a comparison; its request names the datasets by their digests."""
    datasets = [reference.digest for reference in order.datasets]
    return NewJob(
        kind=TaskDistancesKind.name,
        request={"datasets": datasets, **order.request.model_dump(mode="json")},
        plan={},
        steps=(
            NewStep(
                name="matrix",
                order=order.model_dump(mode="json"),
                queue=forward_queue,
                examples_total=examples,
                dataset_digests=tuple(datasets),
            ),
        ),
    )


class TaskDistancesKind:
    """See `JobKind`."""

    name = "task_distances"
    folder_of = None

    def result_url(self, job_id: str) -> str:
        """See `JobKind`."""
        return f"/v1/task-distances/{job_id}"

    def failure(self, job: JobState) -> Failure | None:
        """Its one step's."""
        (step,) = job.steps
        return None if step.error_code is None else Failure(code=step.error_code, reason=step.error_reason or "")

    def result(self, job: JobState) -> TaskDistances:
        """See `JobKind`."""
        (step,) = job.steps
        matrix = None if step.output is None else TaskDistanceMatrix.model_validate(step.output)
        return TaskDistances(id=job.id, status=job.status.value, matrix=matrix, failure=job.failure)

    def next_job(self, job: JobState) -> None:
        """Nothing follows."""

    def record(self, session: Session, job_id: str, step: StepState) -> Counts:
        """Nothing is kept beside the matrix."""
        return {}
