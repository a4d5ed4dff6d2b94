"""`/datasets`: what was uploaded, what its check found, what to do about it, and the form that asks for a ranking."""

from __future__ import annotations

from fastapi import APIRouter, BackgroundTasks, Response
from pydantic import ValidationError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from api.datasets.arrival import forget
from api.datasets.service import accept_dataset, dataset_options, get_dataset, list_datasets
from api.jobs.resource import job_resources
from api.jobs.submission import Submission
from api.pages.advice import findings_of
from api.pages.asking import Fields, fields_of, problems_of, ranking_request
from api.pages.forecast import forecast_of
from api.pages.rendering import go, page
from api.pages.visits import ReadVisit, Visit, WriteVisit
from api.paging import CreatedDependency, Cursor
from api.problems import status_of
from api.rankings.service import job_of_ranking
from api.uploads import Upload
from frontrunner.errors import FrontrunnerError
from jobs import datasets, lifecycle
from jobs.records import report_of
from models import DatasetRow, JobRow

router = APIRouter(prefix="/datasets", include_in_schema=False)

_A_PAGE = 50
_JOBS_SHOWN = 10
_READING = ("task", "label", "input", "text", "image", "split")


@router.get("")
def show_datasets(visit: ReadVisit, created: CreatedDependency, cursor: Cursor = None) -> Response:
    """Everything that was uploaded."""
    with visit.state.database.read_transaction() as session:
        rows = list_datasets(session, created, _A_PAGE, cursor)
    after = f"/datasets?cursor={rows[_A_PAGE - 1].id}" if len(rows) > _A_PAGE else ""
    return page(visit, "datasets.html", datasets=rows[:_A_PAGE], next=after)


@router.get("/{dataset_id}")
def show_dataset(dataset_id: str, visit: ReadVisit) -> Response:
    """What a check found, and the form that asks for a ranking."""
    return _dataset(visit, get_dataset(visit.state, dataset_id))


@router.post("/{dataset_id}/forecast")
def show_forecast(dataset_id: str, visit: WriteVisit) -> Response:
    """What a ranking as it is filled in would read and take: a part of the page."""
    dataset = get_dataset(visit.state, dataset_id)
    return page(visit, "_forecast.html", forecast=forecast_of(visit.state, dataset, visit.form))


@router.post("/{dataset_id}/rankings", operation_id="createRanking")
def ask_ranking(dataset_id: str, visit: WriteVisit) -> Response:
    """Queue a ranking; or say beside the fields what is wrong with them."""
    dataset = get_dataset(visit.state, dataset_id)
    try:
        request = ranking_request(visit.form)
        new = job_of_ranking(visit.state, dataset, request)
        job = Submission(visit.state, None, 5).submit(new)
    except ValidationError as invalid:
        return _dataset(visit, dataset, problems=problems_of(invalid), status=422)
    except FrontrunnerError as refusal:
        return _dataset(visit, dataset, refusal=refusal, status=status_of(refusal))
    return go(f"/rankings/{job.id}")


@router.post("/{dataset_id}/read-again", operation_id="createDataset")
async def read_again(dataset_id: str, visit: WriteVisit) -> Response:
    """Check the same bytes read in another way: another dataset, without another upload."""
    state = visit.state
    dataset = await run_in_threadpool(get_dataset, state, dataset_id)
    fields = {name: visit.said(name) for name in _READING}
    upload = Upload(dataset.name, dataset.blob, dataset.bytes, fields)
    try:
        row, _ = await accept_dataset(state, upload, dataset_options(fields))
    except FrontrunnerError as refusal:
        return await run_in_threadpool(_dataset, visit, dataset, refusal=refusal, status=status_of(refusal))
    return go(f"/datasets/{row.id}")


@router.post("/{dataset_id}/delete", operation_id="deleteDataset")
def delete(dataset_id: str, visit: WriteVisit, afterwards: BackgroundTasks) -> Response:
    """Forget a dataset; results of jobs stay."""
    state = visit.state
    with state.database.write_transaction() as session:
        leftovers = datasets.delete_dataset(session, dataset_id)
        state.note(session, dataset_id)
    afterwards.add_task(leftovers.remove_features, state.store)
    afterwards.add_task(forget, state, leftovers.blob)
    answer = go("/datasets")
    answer.background = afterwards
    return answer


def _dataset(
    visit: Visit,
    dataset: DatasetRow,
    *,
    status: int = 200,
    refusal: FrontrunnerError | None = None,
    problems: Fields | None = None,
) -> Response:
    report = report_of(dataset)
    latest = (
        select(JobRow)
        .options(*lifecycle.WITHOUT_JSON)
        .where(JobRow.dataset_id == dataset.id)
        .order_by(JobRow.id.desc())
        .limit(_JOBS_SHOWN)
    )
    with visit.state.database.read_transaction() as session:
        jobs = job_resources(session, list(session.scalars(latest)))
    return page(
        visit,
        "dataset.html",
        status=status,
        dataset=dataset,
        report=report,
        findings=findings_of(report),
        classes=sorted(report.classes, key=lambda found: -found.train),
        jobs=jobs,
        refusal=refusal,
        problems=problems or Fields(),
        filled=fields_of(visit.form),
        options=dataset.options,
    )
