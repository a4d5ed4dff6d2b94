"""`/v1/task-distances`: how far datasets are from each other, as one checkpoint sees them."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from api.datasets.service import dataset_reference, get_dataset
from api.jobs.conditional import NOT_MODIFIED, ConditionalGetDependency, show_result
from api.jobs.resource import JobResource
from api.jobs.submission import SubmissionDependency
from api.problems import RESPONSES
from api.state import WriteStateDependency
from frontrunner.limits import Name
from frontrunner.ranking import TaskDistancePayload, TaskDistanceRequest, TaskDistances, the_checkpoint
from frontrunner.ranking.task_distances import MAX_TASKS, require_classification
from jobs.kinds.task_distances import KIND, task_distances_job
from jobs.records import report_of

router = APIRouter(prefix="/v1/task-distances", tags=["tasks"], responses=RESPONSES)


class TaskDistanceSubmission(TaskDistanceRequest):
    """Which datasets to compare."""

    datasets: tuple[Name, ...] = Field(min_length=2, max_length=MAX_TASKS, description="Ids of two or more datasets.")


@router.post("", operation_id="createTaskDistances", status_code=202)
def create_task_distances(
    submitted: TaskDistanceSubmission, response: Response, state: WriteStateDependency, submission: SubmissionDependency
) -> JobResource:
    """Measure asymmetric distances between classification datasets. Answers at once with the job."""
    rows = [get_dataset(state, dataset_id) for dataset_id in submitted.datasets]
    reports = [report_of(row) for row in rows]
    for report in reports:
        require_classification(report.name, report.task)
    payload = TaskDistancePayload(
        datasets=tuple(dataset_reference(row) for row in rows),
        checkpoint=the_checkpoint(submitted.checkpoint, reports, state.catalogue(submitted.checkpoint)),
        request=TaskDistanceRequest.model_validate(submitted.model_dump(exclude={"datasets"})),
    )
    examples = sum(min(submitted.max_examples, report.train_examples) for report in reports)
    return submission.accept(response, task_distances_job(payload, examples, state.settings.forward_queue))


@router.get("/{job_id}", operation_id="getTaskDistances", response_model=TaskDistances, responses=NOT_MODIFIED)
async def read_task_distances(job_id: str, conditional: ConditionalGetDependency) -> Response:
    """Read the distances; `matrix` is null until the job is over. `Prefer: wait=n` waits for its end."""
    return await conditional.answer(job_id, show_result, KIND)
