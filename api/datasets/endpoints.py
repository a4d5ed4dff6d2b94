"""`/v1/datasets`: upload, list, read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Request, Response
from pydantic import BaseModel, Field

from api.datasets.arrival import arrival, forget
from api.datasets.service import accept_dataset, dataset_options, get_dataset, list_datasets
from api.paging import CreatedDependency, Cursor, Limit, Page
from api.problems import RESPONSES
from api.state import StateDependency, WriteStateDependency
from api.times import instant
from frontrunner.data import DatasetOptions, DatasetReport
from jobs import datasets
from jobs.records import report_of
from models import DatasetRow

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=RESPONSES)

DATASET_OPTION_FIELDS: dict[str, Any] = {
    "task": {"type": "string", "enum": ["classification", "multi-label", "regression"]},
    **{
        name: {"type": "string", "description": DatasetOptions.model_fields[name].description}
        for name in ("label", "input", "text", "image", "split")
    },
}
FILE_FIELD: dict[str, Any] = {
    "type": "string",
    # The word of OpenAPI 3.1 for bytes, and that of 3.0, which generators and the viewer know.
    "contentMediaType": "application/octet-stream",
    "format": "binary",
    "description": "A zip of images (class/..., or train/class/... and test/class/...) or of tables, or a CSV, TSV, "
    "JSON, JSONL, Excel, Parquet or npz file.",
}


def form_schema(**fields: Any) -> dict[str, Any]:
    """An OpenAPI request body for a multipart form that is parsed as a stream."""
    schema = {"type": "object", "required": ["file"], "properties": {"file": FILE_FIELD, **fields}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


class DatasetSummary(BaseModel):
    """A dataset in a list, without its report."""

    id: str = Field(description="Names the content: the same data has the same id.")
    name: str
    bytes: int
    created_at: datetime | None

    @classmethod
    def in_list(cls, row: DatasetRow) -> DatasetSummary:
        """The summary of a row."""
        return cls(id=row.id, name=row.name, bytes=row.bytes, created_at=instant(row.created_at))


class DatasetResource(DatasetSummary):
    """A dataset that was accepted."""

    report: DatasetReport

    @classmethod
    def of(cls, row: DatasetRow) -> DatasetResource:
        """The resource of a row."""
        report = report_of(row)
        return cls(id=row.id, name=row.name, bytes=row.bytes, created_at=instant(row.created_at), report=report)


@router.post(
    "",
    operation_id="createDataset",
    status_code=201,
    response_model=DatasetResource,
    responses={200: {"model": DatasetResource, "description": "The same data was stored before"}},
    openapi_extra=form_schema(**DATASET_OPTION_FIELDS),
)
async def create_dataset(request: Request, response: Response, state: WriteStateDependency) -> DatasetResource:
    """Upload and check a dataset. It is refused, with a reason, where nothing could be ranked on it."""
    state.checks.refuse_if_full()
    async with arrival(state) as coming:
        upload = await coming.receive(request)
        row, is_new = await accept_dataset(state, upload, dataset_options(upload.fields))
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{row.id}"
    return DatasetResource.of(row)


@router.get("", operation_id="listDatasets")
def read_datasets(
    state: StateDependency, created: CreatedDependency, limit: Limit = 50, cursor: Cursor = None
) -> Page[DatasetSummary]:
    """List datasets, by id; each one's own address has its report."""
    with state.database.read_transaction() as session:
        rows = list_datasets(session, created, limit, cursor)
    items = [DatasetSummary.in_list(row) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


@router.get("/{dataset_id}", operation_id="getDataset")
def read_dataset(dataset_id: str, state: StateDependency) -> DatasetResource:
    """Read one dataset and its report."""
    return DatasetResource.of(get_dataset(state, dataset_id))


@router.delete("/{dataset_id}", operation_id="deleteDataset", status_code=204)
def delete_dataset(dataset_id: str, state: WriteStateDependency, afterwards: BackgroundTasks) -> None:
    """Forget a dataset, its bytes and its cached features; refused while a job reads it. Results of jobs stay."""
    with state.database.write_transaction() as session:
        leftovers = datasets.delete_dataset(session, dataset_id)
        state.note(session, dataset_id)
    afterwards.add_task(leftovers.remove_features, state.store)
    afterwards.add_task(forget, state, leftovers.blob)
