"""Distances between datasets: one step reads them all through one checkpoint and measures."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import BaseModel

from frontrunner.progress import Progress, Stage
from frontrunner.ranking import TaskDistanceMatrix, TaskDistancePayload, TaskDistances, compare_tasks
from jobs.kinds.kind import JobState, NewJob, NewStep, OneStepKind


class TaskDistanceJob(BaseModel):
    """A comparison as its job stores it.

    Attributes:
        payload: the work of its one step.
        examples: how many are read, over all datasets.
        queue: where steps that run models wait.
    """

    payload: TaskDistancePayload
    examples: int
    queue: str


_State: TypeAlias = JobState[TaskDistanceJob, TaskDistancePayload, TaskDistanceMatrix]


class TaskDistanceKind(OneStepKind[TaskDistanceJob, TaskDistancePayload, TaskDistanceMatrix]):
    """One step, whose output is the matrix."""

    name = "task_distances"
    request = TaskDistanceJob
    payload = TaskDistancePayload
    output = TaskDistanceMatrix
    counted = frozenset({Stage.READ})

    def result_url(self, job_id: str) -> str:
        """The comparison."""
        return f"/v1/task-distances/{job_id}"

    def step(self, request: TaskDistanceJob) -> NewStep[TaskDistancePayload]:
        """The whole comparison."""
        digests = tuple(dataset.digest for dataset in request.payload.datasets)
        return NewStep("matrix", request.payload, request.queue, request.examples, digests)

    def result(self, job: _State) -> TaskDistances:
        """The matrix, once it is there."""
        (step,) = job.steps
        return TaskDistances(id=job.id, status=job.status, matrix=step.output, failure=job.failure or step.failure)

    def run(self, payload: TaskDistancePayload, progress: Progress) -> TaskDistanceMatrix:
        """Read the datasets and measure."""
        return compare_tasks(payload, progress)


KIND = TaskDistanceKind()


def task_distances_job(payload: TaskDistancePayload, examples: int, queue: str) -> NewJob:
    """The job of a comparison."""
    return NewJob(KIND.name, TaskDistanceJob(payload=payload, examples=examples, queue=queue))


__all__ = ["KIND", "task_distances_job"]
