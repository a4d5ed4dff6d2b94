"""`/v1/rankings` and `/v1/recommendations`: ask which checkpoint to use, and read the answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, ValidationError

from api.datasets.endpoints import READING_FIELDS, form_schema
from api.datasets.service import accept_dataset, get_dataset, reading_options
from api.jobs.reading import ReadingDependency, show_result
from api.jobs.resource import JobResource
from api.jobs.submission import SubmissionDependency
from api.problems import RESPONSES, MalformedRequest
from api.rankings.service import plan_ranking
from api.state import StateDependency
from api.uploads import receive_upload
from frontrunner.ranking import Ranking, RankingRequest

router = APIRouter(tags=["rankings"], responses=RESPONSES)


class RankingOrder(RankingRequest):
    """A ranking of a dataset that was uploaded before."""

    dataset: str = Field(max_length=64, description="Id of the dataset.")


@router.post("/v1/rankings", operation_id="createRanking", status_code=202)
def create_ranking(
    order: RankingOrder, response: Response, state: StateDependency, submission: SubmissionDependency
) -> JobResource:
    """Rank checkpoints for a dataset. Answers at once with the job; poll `Location` for the ranking."""
    request = RankingRequest.model_validate(order.model_dump(exclude={"dataset"}))
    return submission.accept(response, plan_ranking(state, get_dataset(state, order.dataset), request))


@router.post(
    "/v1/recommendations",
    operation_id="createRecommendation",
    status_code=202,
    response_model=JobResource,
    openapi_extra=form_schema(
        **READING_FIELDS,
        options={"type": "string", "contentMediaType": "application/json", "description": "Ranking options as JSON."},
    ),
)
async def create_recommendation(
    request: Request, response: Response, state: StateDependency, submission: SubmissionDependency
) -> JobResource:
    """Upload a dataset and rank checkpoints for it in one request: `file`, and `options` as JSON."""
    upload = await receive_upload(request, state.blobs, state.settings.max_upload_bytes)
    try:
        options = RankingRequest.model_validate_json(upload.fields.get("options") or "{}")
    except ValidationError as error:
        first = error.errors()[0]
        raise MalformedRequest(f"options: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def accept() -> JobResource:
        dataset, _ = accept_dataset(state, upload, reading_options(upload.fields))
        return submission.accept(response, plan_ranking(state, dataset, options))

    return await run_in_threadpool(accept)


@router.get("/v1/rankings/{ranking_id}", operation_id="getRanking", response_model=Ranking)
async def read_ranking(ranking_id: str, reading: ReadingDependency) -> Response:
    """Read a ranking; while its job runs, what is known so far. `Prefer: wait=n` waits for its end."""
    return await reading.answer(ranking_id, show_result)
