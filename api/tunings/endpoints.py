"""`/v1/tunings`: make one model out of the best checkpoints, and fetch it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import Field

from api.datasets.service import get_dataset
from api.jobs.conditional import NOT_MODIFIED, ConditionalGetDependency, show_result
from api.jobs.resource import JobResource
from api.jobs.submission import SubmissionDependency
from api.problems import RESPONSES
from api.state import StateDependency, TuneStateDependency
from api.tunings.service import file_of, payload_of_tuning
from frontrunner.limits import Name
from frontrunner.tuning import BestOfRanking, Tuning, TuningRequest
from frontrunner.tuning.request import MAX_TEACHERS
from jobs.kinds.tuning import KIND, tuning_job
from jobs.records import report_of

router = APIRouter(prefix="/v1/tunings", tags=["tunings"], responses=RESPONSES)


class TuningSubmission(TuningRequest):
    """A tuning on a dataset that was uploaded before."""

    dataset: str = Field(max_length=64, description="Id of the target dataset.")
    source: str | None = Field(
        default=None, max_length=64, description="Id of the labelled source dataset, for methods of domain adaptation."
    )
    teachers: Annotated[tuple[Name, ...], Field(max_length=MAX_TEACHERS)] | BestOfRanking = Field(  # type: ignore[assignment]
        default=(),
        description="Ids of the checkpoints that the method learns from, or the best of a ranking: "
        '{"ranking": ID, "top": K}. A method without teachers then tunes the best one.',
    )


@router.post("", operation_id="createTuning", status_code=202)
def create_tuning(
    submitted: TuningSubmission, response: Response, state: TuneStateDependency, submission: SubmissionDependency
) -> JobResource:
    """Tune. Answers at once with the job; cancel and retry it as any job: a retry goes on where it was cut off."""
    best = submitted.teachers if isinstance(submitted.teachers, BestOfRanking) else None
    fields = submitted.model_dump(exclude={"dataset", "source"} | ({"teachers"} if best is not None else set()))
    dataset = get_dataset(state, submitted.dataset)
    payload = payload_of_tuning(state, dataset, TuningRequest.model_validate(fields), best, submitted.source)
    examples = report_of(dataset).train_examples
    return submission.accept(response, tuning_job(payload, dataset.id, examples, state.settings.forward_queue))


@router.get("/{tuning_id}", operation_id="getTuning", response_model=Tuning, responses=NOT_MODIFIED)
async def read_tuning(tuning_id: str, conditional: ConditionalGetDependency) -> Response:
    """Read a tuning; `output` is null until it is over, its curves come as events of the job."""
    return await conditional.answer(tuning_id, show_result, KIND)


@router.get(
    "/{tuning_id}/files/{name:path}",
    operation_id="getTuningFile",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file, of the kind that its name says",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}, "*/*": {}},
        },
        307: {"description": "The file is in the bucket, at the signed address in `Location`."},
    },
)
def read_tuning_file(tuning_id: str, name: Annotated[str, Path(max_length=300)], state: StateDependency) -> Response:
    """Fetch a file of a finished tuning: `README.md`, `model/config.json`, `model/model.safetensors` and so on."""
    found = file_of(state, tuning_id, name)
    if isinstance(found, str):
        return RedirectResponse(found, status_code=307, headers={"Cache-Control": "no-store"})
    return FileResponse(found, filename=PurePosixPath(name).name)
