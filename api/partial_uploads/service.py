"""Receiving a part, and making one file of all parts."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.datasets.arrival import arrival
from api.state import State
from api.uploads import Upload, write_body
from frontrunner.data import DatasetOptions
from frontrunner.errors import DatasetTooLarge, EmptyDataset
from frontrunner.limits import PART_BYTES
from frontrunner.store.blobs import BlobWriter
from jobs import uploads
from jobs.quotas import Limits, QuotaExceeded
from jobs.uploads import UploadDamaged

# Read and written at once when parts become a file.
_PIECE = 1 << 20


async def receive_part(state: State, request: Request, upload_id: str, offset: int) -> int:
    """Keep a part; where the upload ends with it.

    Raises:
        UploadNotFound, UploadOver, UploadOffset: it has no place; said before it is received, where that is clear.
        DatasetTooLarge: it is too large, or the upload is with it.
        EmptyDataset: it holds nothing.
        QuotaExceeded: the tenant would keep too many bytes.
        KeyInvalid, ScopeMissing: whoever sent it may no more, now that all of it is here.
        StorageFull, StoreUnavailable: it cannot be kept.
    """
    await run_in_threadpool(_require_place, state, upload_id, offset)
    largest = state.settings.max_upload_bytes
    async with arrival(state) as coming:
        with uploads.parts(state.store, upload_id).receive(PART_BYTES) as writer:
            await write_body(request, writer, state.checks.writing, coming.count)
            await state.still()
            if offset + writer.bytes > largest:
                raise DatasetTooLarge(f"the upload is larger than {largest:,} bytes")
            return await run_sync(_keep, state, upload_id, offset, writer, limiter=state.checks.writing)


async def joined(state: State, upload_id: str, sha256: str | None, writer: BlobWriter) -> tuple[Upload, DatasetOptions]:
    """One file of an upload's parts, in the store, and how it is to be read.

    Args:
        state: of the request.
        upload_id: of the upload.
        sha256: what the file has to be; None for anything.
        writer: where the file goes.

    Raises:
        UploadNotFound: there is no such upload.
        UploadDamaged: the parts are not what `sha256` names; the upload is forgotten, as it cannot be mended.
        EmptyDataset: it has no part.
        StoredFileMissing, StoredFileDamaged, StorageFull, StoreUnavailable: the store failed.
    """
    name, options = await run_sync(_write_parts, state, upload_id, sha256, writer, limiter=state.checks.writing)
    await run_sync(writer.keep, limiter=state.checks.writing)
    return Upload(name, writer.digest, writer.bytes, {}, writer), options


def _write_parts(state: State, upload_id: str, sha256: str | None, writer: BlobWriter) -> tuple[str, DatasetOptions]:
    with state.database.read_transaction() as session:
        row = uploads.find_upload(session, upload_id)
        name, options = row.name, DatasetOptions.model_validate(row.options)
        digests = uploads.parts_of(session, upload_id)
    if not digests:
        raise EmptyDataset(f"the upload '{upload_id}' has no part")
    stored = uploads.parts(state.store, upload_id)
    for digest in digests:
        with open(stored.path(digest), "rb") as part:
            while piece := part.read(_PIECE):
                writer.write(piece)
    if sha256 is not None and writer.digest != sha256:
        ended(state, upload_id, None)
        raise UploadDamaged(
            f"what came has the SHA-256 {writer.digest}, not {sha256}: did the data change while they were sent? "
            "Send them again"
        )
    return name, options


def ended(state: State, upload_id: str, dataset_id: str | None) -> None:
    """Note that a dataset was made of an upload, or forget it where none can be; its parts go."""
    with state.database.write_transaction() as session:
        if dataset_id is None:
            uploads.delete_upload(session, upload_id)
        else:
            uploads.end_upload(session, upload_id, dataset_id)
    uploads.remove_parts(state.store, upload_id)


def _require_place(state: State, upload_id: str, offset: int) -> None:
    with state.database.read_transaction() as session:
        uploads.require_offset(uploads.find_upload(session, upload_id), offset)


def _keep(state: State, upload_id: str, offset: int, writer: BlobWriter) -> int:
    """Put a part into the store and add it; one that finds no place any more does not stay there."""
    blob = writer.keep()
    try:
        with state.database.write_transaction() as session:
            limits = Limits.of(state.settings)
            tenant, size = state.principal.tenant, writer.bytes
            ends_at = uploads.add_part(session, tenant, upload_id, limits, offset=offset, size=size, blob=blob)
            writer.keep_still()  # somebody may have removed an equal one meanwhile
            return ends_at
    except (uploads.UploadNotFound, uploads.UploadConflict, QuotaExceeded):
        with state.database.write_transaction() as session:
            uploads.remove_part(session, state.store, upload_id, blob)
        raise
