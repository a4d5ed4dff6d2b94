"""`/v1/rankings` and `/v1/recommendations`: ask which checkpoint to use, and read the answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.datasets.arrival import arrival
from api.datasets.endpoints import DATASET_OPTION_FIELDS, form_schema
from api.datasets.service import accept_dataset, dataset_options, get_dataset
from api.document import reference
from api.jobs.conditional import NOT_MODIFIED, ConditionalGetDependency, show_result
from api.jobs.resource import JobResource
from api.jobs.submission import SubmissionDependency
from api.problems import RESPONSES, MalformedRequest
from api.rankings.service import extension_job, job_of_ranking, outlook_of, tuning_to_follow
from api.state import StateDependency, WriteStateDependency
from frontrunner.limits import Name
from frontrunner.ranking import Ranking, RankingRequest
from frontrunner.ranking.request import MAX_CHECKPOINTS
from frontrunner.ranking.result import Outlook
from frontrunner.tuning import TuningRequest
from jobs.keys import Scope
from jobs.kinds.ranking import KIND, TuningToFollow

router = APIRouter(tags=["rankings"], responses=RESPONSES)


class FollowUp(TuningRequest):
    """The tuning that begins with the best checkpoints when the ranking is over."""

    top: int = Field(default=3, ge=1, le=16, description="How many of the ranked checkpoints the method learns from.")


class RankingOptions(RankingRequest):
    """A ranking, and what is to follow on it."""

    then: FollowUp | None = Field(default=None, description="Go straight on into a tuning.")

    @property
    def ranking(self) -> RankingRequest:
        """The ranking alone."""
        return RankingRequest.model_validate(self.model_dump(include=set(RankingRequest.model_fields)))

    @property
    def following(self) -> TuningToFollow | None:
        """The tuning alone."""
        if self.then is None:
            return None
        request = TuningRequest.model_validate(self.then.model_dump(exclude={"top"}))
        return tuning_to_follow(request, self.then.top)


class RankingSubmission(RankingOptions):
    """A ranking of a dataset that was uploaded before."""

    dataset: str = Field(max_length=64, description="Id of the dataset.")


class AddedCheckpoints(BaseModel):
    """Checkpoints that join a finished ranking."""

    model_config = ConfigDict(extra="forbid")

    checkpoints: tuple[Name, ...] = Field(
        default=(), max_length=MAX_CHECKPOINTS, description="Their ids; whatever is known by now where none is named."
    )


@router.post("/v1/rankings", operation_id="createRanking", status_code=202)
def create_ranking(
    submitted: RankingSubmission, response: Response, state: WriteStateDependency, submission: SubmissionDependency
) -> JobResource:
    """Rank checkpoints for a dataset. Answers at once with the job; poll `Location` for the ranking."""
    if submitted.then is not None:
        state.require(Scope.TUNE)
    dataset = get_dataset(state, submitted.dataset)
    return submission.accept(response, job_of_ranking(state, dataset, submitted.ranking, submitted.following))


@router.post(
    "/v1/recommendations",
    operation_id="createRecommendation",
    status_code=202,
    response_model=JobResource,
    openapi_extra=form_schema(
        **DATASET_OPTION_FIELDS,
        options={**reference(RankingOptions), "description": "What is to be ranked and how, as JSON."},
    ),
)
async def create_recommendation(
    request: Request, response: Response, state: WriteStateDependency, submission: SubmissionDependency
) -> JobResource:
    """Upload a dataset and rank checkpoints for it in one request: `file`, and `options` as JSON."""
    state.checks.refuse_if_full()
    async with arrival(state) as coming:
        upload = await coming.receive(request)
        try:
            options = RankingOptions.model_validate_json(upload.fields.get("options") or "{}")
        except ValidationError as error:
            first = error.errors()[0]
            raise MalformedRequest(f"options: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if options.then is not None:
            state.require(Scope.TUNE)
        dataset, _ = await accept_dataset(state, upload, dataset_options(upload.fields, "options"))

    def accept() -> JobResource:
        return submission.accept(response, job_of_ranking(state, dataset, options.ranking, options.following))

    return await run_in_threadpool(accept)


@router.post("/v1/rankings/{ranking_id}/extend", operation_id="extendRanking", status_code=202)
def extend_ranking(
    ranking_id: str,
    added: AddedCheckpoints,
    response: Response,
    state: WriteStateDependency,
    submission: SubmissionDependency,
) -> JobResource:
    """Rank further checkpoints together with those of a finished ranking, on its terms: only theirs are read."""
    return submission.accept(response, extension_job(state, ranking_id, added.checkpoints))


@router.get("/v1/rankings/{ranking_id}", operation_id="getRanking", response_model=Ranking, responses=NOT_MODIFIED)
async def read_ranking(ranking_id: str, conditional: ConditionalGetDependency) -> Response:
    """Read a ranking; while its job runs, what is known so far. `Prefer: wait=n` waits for its end."""
    return await conditional.answer(ranking_id, show_result, KIND)


@router.get("/v1/rankings/{ranking_id}/outlook", operation_id="getOutlook")
def read_outlook(
    ranking_id: str,
    state: StateDependency,
    protocol: Annotated[
        str | None, Query(max_length=500, description="Whose results count; that of most results by default.")
    ] = None,
) -> Outlook:
    """What the service's past results and a finished ranking's scores expect together, as of now."""
    return outlook_of(state, ranking_id, protocol)
