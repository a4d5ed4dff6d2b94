"""`/v1/rankings` and `/v1/recommendations`: ask which checkpoint to use, and read the answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, ValidationError

from api.datasets.endpoints import READING_FIELDS, form_schema
from api.datasets.service import accept_dataset, get_dataset, reading_options
from api.jobs.endpoints import RETRY_AFTER_S, JobResource, find_job
from api.problems import RESPONSES, MalformedRequest
from api.rankings.service import submit_ranking
from api.state import StateDependency
from api.uploads import receive_upload
from frontrunner.ranking import Ranking, RankingRequest
from models import Status, lifecycle

router = APIRouter(tags=["rankings"], responses=RESPONSES)


class RankingOrder(RankingRequest):
    """A ranking of a dataset that was uploaded before."""

    dataset: str = Field(max_length=64, description="Id of the dataset.")


@router.post("/v1/rankings", operation_id="createRanking", status_code=202)
def create_ranking(order: RankingOrder, response: Response, state: StateDependency) -> JobResource:
    """Rank checkpoints for a dataset. Answers at once with the job; poll `Location` for the ranking."""
    request = RankingRequest.model_validate(order.model_dump(exclude={"dataset"}))
    job = submit_ranking(state, get_dataset(state, order.dataset), request)
    return _accepted(response, job)


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
async def create_recommendation(request: Request, response: Response, state: StateDependency) -> JobResource:
    """Upload a dataset and rank checkpoints for it in one request: `file`, and `options` as JSON."""
    upload = await receive_upload(request, state.blobs, state.settings.max_upload_bytes)
    try:
        options = RankingRequest.model_validate_json(upload.fields.get("options") or "{}")
    except ValidationError as error:
        first = error.errors()[0]
        raise MalformedRequest(f"options: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def accept() -> JobResource:
        dataset, _ = accept_dataset(state, upload, reading_options(upload.fields))
        return submit_ranking(state, dataset, options)

    return _accepted(response, await run_in_threadpool(accept))


@router.get("/v1/rankings/{ranking_id}", operation_id="getRanking")
def read_ranking(ranking_id: str, response: Response, state: StateDependency) -> Ranking:
    """Read a ranking; while its job runs, what is known so far."""
    with state.database.reading() as session:
        ranking = lifecycle.ranking_of(session, find_job(session, ranking_id))
    if not Status(ranking.status).is_terminal:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return ranking


def _accepted(response: Response, job: JobResource) -> JobResource:
    response.headers["Location"] = job.result
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return job
