"""`/v1/uploads`: datasets that come in parts, so that what broke off is carried on and not begun anew.

An upload ends where its last part does: `Upload-Offset`. A part that begins there is taken whole or not at all; where
it does not, the answer says where the upload ends. Names follow the IETF's draft of resumable uploads.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, BackgroundTasks, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.datasets.arrival import arrival
from api.datasets.endpoints import DatasetResource
from api.datasets.service import accept_dataset, get_dataset
from api.partial_uploads.service import ended, joined, receive_part
from api.problems import RESPONSES
from api.state import State, StateDependency, WriteStateDependency
from api.times import instant
from api.uploads import shown_name
from frontrunner.data import DatasetOptions
from frontrunner.errors import EmptyDataset, InvalidDataset, StoredFileMissing
from frontrunner.limits import PART_BYTES
from jobs import uploads
from jobs.quotas import Limits
from models import UploadRow

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], responses=RESPONSES)

OFFSET = "Upload-Offset"
_OFFSET_HEADER = {OFFSET: {"description": "Where the upload ends.", "schema": {"type": "integer"}}}
UploadId = Annotated[str, Path(max_length=40)]


class UploadSubmission(BaseModel):
    """A dataset that is to come in parts."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255, description="Of the file; its ending says what it is.")
    options: DatasetOptions = Field(
        default_factory=DatasetOptions, description="How to read it where its layout leaves a choice."
    )


class UploadResource(BaseModel):
    """An upload on its way."""

    id: str
    name: str
    offset: int = Field(description="Where it ends: the next part begins here.")
    part_bytes: int = Field(description="A part may have so many.")
    dataset: str | None = Field(description="Id of what was made of it; null until then.")
    expires_at: datetime | None = Field(description="It is forgotten then, unless another part comes.")

    @classmethod
    def of(cls, row: UploadRow, expiry_s: float) -> UploadResource:
        """The resource of a row."""
        return cls(
            id=row.id,
            name=row.name,
            offset=row.bytes,
            part_bytes=PART_BYTES,
            dataset=row.dataset_id,
            expires_at=instant(row.touched_at + expiry_s),
        )


class UploadEnd(BaseModel):
    """The end of an upload."""

    model_config = ConfigDict(extra="forbid")

    sha256: str | None = Field(
        default=None,
        max_length=64,
        pattern="^[0-9a-f]{64}$",
        description="Of all that was sent: nothing is made of something else.",
    )


@router.post(
    "",
    operation_id="createUpload",
    status_code=201,
    response_model=UploadResource,
    responses={200: {"model": UploadResource, "description": "The one of this key, to be carried on"}},
)
def create_upload(
    submitted: UploadSubmission,
    response: Response,
    state: WriteStateDependency,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Your name for what you send; while it is unfinished, the same name gives the same upload.",
        ),
    ] = None,
) -> UploadResource:
    """Begin an upload in parts."""
    with state.database.write_transaction() as session:
        row, is_new = uploads.begin_upload(
            session,
            state.principal.tenant,
            Limits.of(state.settings),
            name=shown_name(submitted.name),
            options=submitted.options.model_dump(mode="json"),
            key=idempotency_key,
        )
        if is_new:
            state.note(session, row.id)
        resource = UploadResource.of(row, state.settings.upload_expiry_s)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/uploads/{resource.id}"
    response.headers[OFFSET] = str(resource.offset)
    return resource


@router.head("/{upload_id}", include_in_schema=False)
@router.get("/{upload_id}", operation_id="getUpload")
def read_upload(upload_id: UploadId, response: Response, state: StateDependency) -> UploadResource:
    """Read where an upload ends; `HEAD` answers the same without a body."""
    with state.database.read_transaction() as session:
        resource = UploadResource.of(uploads.find_upload(session, upload_id), state.settings.upload_expiry_s)
    response.headers[OFFSET] = str(resource.offset)
    return resource


@router.patch(
    "/{upload_id}",
    operation_id="addPart",
    status_code=204,
    responses={
        204: {"description": "It was added", "headers": _OFFSET_HEADER},
        409: {
            "description": "It does not begin where the upload ends, or the upload is over",
            "headers": _OFFSET_HEADER,
            "content": RESPONSES["4XX"]["content"],
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def add_part(
    upload_id: UploadId,
    request: Request,
    response: Response,
    state: WriteStateDependency,
    upload_offset: Annotated[int, Header(ge=0, le=2**53, description="Where the part begins.")],
) -> None:
    """Add a part: the body as it is. It is there whole or not at all; sent again, it is refused with where to go on."""
    response.headers[OFFSET] = str(await receive_part(state, request, upload_id, upload_offset))


@router.post(
    "/{upload_id}/dataset",
    operation_id="endUpload",
    status_code=201,
    response_model=DatasetResource,
    responses={200: {"model": DatasetResource, "description": "The same data was stored before"}},
)
async def end_upload(
    upload_id: UploadId, end: UploadEnd, response: Response, state: WriteStateDependency
) -> DatasetResource:
    """Make a dataset of what has come, and check it; nothing is kept of an upload on which nothing can be ranked."""
    response.status_code = 200
    if (known := await run_sync(_made_of, state, upload_id)) is not None:
        return DatasetResource.of(await run_sync(get_dataset, state, known))
    state.checks.refuse_if_full()
    async with arrival(state) as coming:
        try:
            upload, options = await joined(state, upload_id, end.sha256, coming.writer)
        except (EmptyDataset, StoredFileMissing):
            if (known := await run_sync(_made_of, state, upload_id)) is None:
                raise
            return DatasetResource.of(await run_sync(get_dataset, state, known))  # by the same request, sent before
        try:
            row, is_new = await accept_dataset(state, upload, options)
        except InvalidDataset:
            await run_sync(ended, state, upload_id, None)
            raise
        await run_sync(ended, state, upload_id, row.id)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{row.id}"
    return DatasetResource.of(row)


@router.delete("/{upload_id}", operation_id="deleteUpload", status_code=204)
def delete_upload(upload_id: UploadId, state: WriteStateDependency, afterwards: BackgroundTasks) -> None:
    """Forget an upload and its parts; a dataset that was made of it stays."""
    with state.database.write_transaction() as session:
        uploads.delete_upload(session, upload_id)
        state.note(session, upload_id)
    afterwards.add_task(uploads.remove_parts, state.store, upload_id)


def _made_of(state: State, upload_id: str) -> str | None:
    with state.database.read_transaction() as session:
        return uploads.find_upload(session, upload_id).dataset_id
