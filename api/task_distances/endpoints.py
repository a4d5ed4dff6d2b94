"""`/v1/task-distances`: how far datasets are from each other, as one checkpoint sees them."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from api.jobs.conditional import NOT_MODIFIED, ConditionalGetDependency, show_result
from api.jobs.resource import JobResource
from api.jobs.submission import SubmissionDependency
from api.problems import RESPONSES
from api.state import WriteStateDependency
from api.task_distances.service import comparison_job
from frontrunner.limits import Name
from frontrunner.ranking import TaskDistanceRequest, TaskDistances
from frontrunner.ranking.task_distances import MAX_TASKS
from jobs.kinds.task_distances import KIND

router = APIRouter(prefix="/v1/task-distances", tags=["tasks"], responses=RESPONSES)


class TaskDistanceSubmission(TaskDistanceRequest):
    """Which datasets to compare."""

    datasets: tuple[Name, ...] = Field(min_length=2, max_length=MAX_TASKS, description="Ids of two or more datasets.")


@router.post("", operation_id="createTaskDistances", status_code=202)
def create_task_distances(
    submitted: TaskDistanceSubmission, response: Response, state: WriteStateDependency, submission: SubmissionDependency
) -> JobResource:
    """Measure asymmetric distances between classification datasets. Answers at once with the job."""
    request = TaskDistanceRequest.model_validate(submitted.model_dump(exclude={"datasets"}))
    return submission.accept(response, comparison_job(state, submitted.datasets, request))


@router.get("/{job_id}", operation_id="getTaskDistances", response_model=TaskDistances, responses=NOT_MODIFIED)
async def read_task_distances(job_id: str, conditional: ConditionalGetDependency) -> Response:
    """Read the distances; `matrix` is null until the job is over. `Prefer: wait=n` waits for its end."""
    return await conditional.answer(job_id, show_result, KIND)
