"""`/tunings/{id}`: how a tuning goes while it trains, and what came of it: how good it is, and where it is wrong."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs.conditional import show_result
from api.pages.rendering import page
from api.pages.standing import standing_of
from api.pages.visits import ReadVisit
from api.problems import NotFound
from api.state import State
from api.tunings.service import file_of
from frontrunner.report import tuning_html
from frontrunner.tuning import Tuning
from jobs import lifecycle
from jobs.kinds.tuning import KIND
from models import EventRow, JobRow

router = APIRouter(prefix="/tunings", include_in_schema=False)


@router.get("/{tuning_id}")
def show_tuning(tuning_id: str, visit: ReadVisit) -> Response:
    """The whole page."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "tuning.html", **_standing(visit.state, session, tuning_id))


@router.get("/{tuning_id}/live")
def show_live(tuning_id: str, visit: ReadVisit) -> Response:
    """The part that changes while it trains."""
    with visit.state.database.read_transaction() as session:
        return page(visit, "_tuning_part.html", **_standing(visit.state, session, tuning_id))


@router.get("/{tuning_id}/report.html")
def report(tuning_id: str, visit: ReadVisit) -> Response:
    """The tuning as a page that needs no server."""
    with visit.state.database.read_transaction() as session:
        tuning = _result(visit.state, session, lifecycle.find_job(session, tuning_id, KIND))
    if tuning.output is None:
        raise NotFound(f"the tuning '{tuning_id}' has no result to report")
    return HTMLResponse(
        tuning_html(tuning.output, tuning.dataset),
        headers={"Content-Disposition": f'attachment; filename="{tuning_id}.html"'},
    )


@router.get("/{tuning_id}/files/{name:path}")
def download(tuning_id: str, name: Annotated[str, Path(max_length=300)], visit: ReadVisit) -> Response:
    """A file that it made."""
    found = file_of(visit.state, tuning_id, name)
    if isinstance(found, str):
        return RedirectResponse(found, status_code=307, headers={"Cache-Control": "no-store"})
    return FileResponse(found, filename=PurePosixPath(name).name)


def _standing(state: State, session: Session, tuning_id: str) -> dict[str, Any]:
    job = lifecycle.find_job(session, tuning_id, KIND)
    standing, tuning = standing_of(session, job), _result(state, session, job)
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


def _result(state: State, session: Session, job: JobRow) -> Tuning:
    return Tuning.model_validate_json(show_result(state, session, job))
