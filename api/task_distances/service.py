"""Comparisons of tasks: from ids of datasets to a job."""

from __future__ import annotations

from collections.abc import Sequence

from api.datasets.service import dataset_reference, get_dataset
from api.state import State
from frontrunner.ranking import TaskDistancePayload, TaskDistanceRequest, the_checkpoint
from frontrunner.ranking.task_distances import require_classification
from jobs.kinds.kind import NewJob
from jobs.kinds.task_distances import task_distances_job
from jobs.records import report_of


def comparison_job(state: State, datasets: Sequence[str], request: TaskDistanceRequest) -> NewJob:
    """The job that compares datasets, named by their ids.

    Raises:
        NotFound: there is no such dataset.
        InvalidDataset: one has no classes.
        CheckpointError: the checkpoint is unknown, broken, or reads something else.
    """
    rows = [get_dataset(state, dataset_id) for dataset_id in datasets]
    reports = [report_of(row) for row in rows]
    for report in reports:
        require_classification(report.name, report.task)
    payload = TaskDistancePayload(
        datasets=tuple(dataset_reference(row) for row in rows),
        checkpoint=the_checkpoint(request.checkpoint, reports, state.catalogue(request.checkpoint)),
        request=request,
    )
    examples = sum(min(request.max_examples, report.train_examples) for report in reports)
    return task_distances_job(payload, examples, state.settings.forward_queue)
