"""`/`: give a dataset, and see what was asked before."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from api.datasets.arrival import arrival
from api.datasets.service import accept_dataset, dataset_options, list_datasets
from api.jobs.resource import job_resources
from api.pages.rendering import go, page
from api.pages.sessions import CSRF_FIELD
from api.pages.visits import ReadVisit, UploadVisit, Visit, require_own_form
from api.paging import ANY_TIME
from api.problems import status_of
from frontrunner.errors import FrontrunnerError
from jobs import lifecycle
from models import JobRow

router = APIRouter(include_in_schema=False)

# Jobs and datasets beside the form.
_SHOWN = 5


@router.get("/")
def show_home(visit: ReadVisit) -> Response:
    """Where everybody begins."""
    return _home(visit)


@router.post("/datasets", operation_id="createDataset")
async def upload(visit: UploadVisit) -> Response:
    """Take a dataset, check it, and show what was found; or say here why nothing could be ranked on it."""
    state, request = visit.state, visit.request
    try:
        state.checks.refuse_if_full()
        async with arrival(state) as coming:
            received = await coming.receive(request)
            require_own_form(request, received.fields.pop(CSRF_FIELD, ""))
            row, _ = await accept_dataset(state, received, dataset_options(received.fields))
    except FrontrunnerError as refusal:
        if visit.may("read") and status_of(refusal) != 403:
            return await run_in_threadpool(_home, visit, refusal)
        raise
    return go(f"/datasets/{row.id}")


def _home(visit: Visit, refusal: FrontrunnerError | None = None) -> Response:
    latest = select(JobRow).options(*lifecycle.WITHOUT_JSON).order_by(JobRow.id.desc()).limit(_SHOWN)
    with visit.state.database.read_transaction() as session:
        datasets = list_datasets(session, ANY_TIME, _SHOWN, None)[:_SHOWN]
        jobs = job_resources(session, list(session.scalars(latest)))
    return page(
        visit,
        "home.html",
        status=200 if refusal is None else status_of(refusal),
        refusal=refusal,
        datasets=datasets,
        jobs=jobs,
        max_bytes=visit.state.settings.max_upload_bytes,
    )
