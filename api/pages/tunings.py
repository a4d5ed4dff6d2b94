"""`/tunings/{id}`: how a tuning goes while it trains, and what came of it: how good it is, and where it is wrong."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.pages.rendering import page
from api.pages.standing import standing_of
from api.pages.visits import ReadVisit
from api.problems import NotFound
from api.tunings.service import file_of
from frontrunner.tuning import Tuning
from jobs import lifecycle
from jobs.kinds.tuning import KIND
from jobs.records import result_json
from models import EventRow, JobRow

router = APIRouter(prefix="/tunings", include_in_schema=False)


@router.get("/{tuning_id}")
def show_tuning(tuning_id: str, visit: ReadVisit) -> Response:
    """The whole page."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "tuning.html", **_standing(session, tuning_id))


@router.get("/{tuning_id}/live")
def show_live(tuning_id: str, visit: ReadVisit) -> Response:
    """The part that changes while it trains."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "_tuning_part.html", **_standing(session, tuning_id))


@router.get("/{tuning_id}/wrong/{number}")
def show_wrong(tuning_id: str, number: int, visit: ReadVisit) -> Response:
    """The image of an example that the model gets wrong."""
    with visit.state.database.read_transaction() as session:
        output = _tuning(session, _find(session, tuning_id)).output
    wrong = [] if output is None else output.wrong
    if not 0 <= number < len(wrong) or not wrong[number].image:
        raise NotFound(f"the tuning has no image {number} to show")
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(base64.b64decode(wrong[number].image), headers=headers, media_type="image/jpeg")


@router.get("/{tuning_id}/files/{name:path}")
def download(tuning_id: str, name: Annotated[str, Path(max_length=300)], visit: ReadVisit) -> Response:
    """A file that it made."""
    found = file_of(visit.state, tuning_id, name)
    if isinstance(found, str):
        return RedirectResponse(found, status_code=307, headers={"Cache-Control": "no-store"})
    return FileResponse(found, filename=PurePosixPath(name).name)


def _standing(session: Session, tuning_id: str) -> dict[str, Any]:
    job = _find(session, tuning_id)
    standing, tuning = standing_of(session, job), _tuning(session, job)
    data = tuning.model_dump(mode="json", exclude={"output": {"wrong": True, "files": True, "models": True}})
    curve = _curve(session, tuning_id) if tuning.output is None else data["output"]["curve"]
    return {
        "standing": standing,
        "job": standing.job,
        "tuning": tuning,
        "output": tuning.output,
        "data": data | {"curve": curve},
        "last": curve[-1] if curve else None,
    }


def _curve(session: Session, tuning_id: str) -> list[Any]:
    """The points that were told so far, as events of the job."""
    told = select(EventRow.data).where(EventRow.job_id == tuning_id, EventRow.type == "step.curve")
    return [data["curve"] for data in session.scalars(told.order_by(EventRow.number))]


def _find(session: Session, tuning_id: str) -> JobRow:
    job = lifecycle.find_job(session, tuning_id)
    if job.kind != KIND.name:
        raise NotFound(f"'{tuning_id}' is a {job.kind}, not a tuning")
    return job


def _tuning(session: Session, job: JobRow) -> Tuning:
    return Tuning.model_validate_json(result_json(session, job))
