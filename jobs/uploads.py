"""Uploads in parts: begun, carried on after whatever broke off, and forgotten where nobody does.

A part is an object of the store that is whole; its row is written, under the lock of the upload's, only where it
begins at the upload's end. So an upload has no gap and no part twice, whoever sends at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from frontrunner.errors import FrontrunnerError
from frontrunner.store import Blobs, Store, remove_all
from jobs.quotas import Limits, QuotaExceeded, kept_bytes, locked_limits, too_many_bytes
from models.base import database_now, new_id
from models.upload import UploadPartRow, UploadRow

# What parts' names in the store begin with, before the id of their upload.
PARTS = "parts"
# A tenant's uploads that are no dataset yet.
MAX_UNFINISHED = 100


class UploadNotFound(FrontrunnerError):
    """There is no such upload; it may have lain too long, or become a dataset long ago."""

    code = "upload_not_found"


class UploadConflict(FrontrunnerError):
    """The upload does not admit this as it stands."""

    code = "upload_conflict"


class UploadOffset(UploadConflict):
    """The part does not begin where the upload ends.

    Attributes:
        offset: where it ends.
    """

    code = "upload_offset"
    offset: int = 0


class UploadOver(UploadConflict):
    """The upload has become a dataset: it takes no more."""

    code = "upload_over"


class UploadDamaged(UploadConflict):
    """What came is not what was sent, or what was sent changed meanwhile."""

    code = "upload_damaged"


def parts_prefix(upload_id: str) -> str:
    """What the names of an upload's parts begin with."""
    return f"{PARTS}/{upload_id}"


def parts(store: Store, upload_id: str) -> Blobs:
    """The parts of an upload, by their digests."""
    return Blobs(store, parts_prefix(upload_id))


def begin_upload(
    session: Session, tenant: str, defaults: Limits, *, name: str, options: dict[str, Any], key: str | None
) -> tuple[UploadRow, bool]:
    """A new upload; or the one under the same key that is no dataset yet, to be carried on. Whether it is new.

    Raises:
        QuotaExceeded: the tenant has too many.
    """
    locked_limits(session, tenant, defaults)
    unfinished = select(UploadRow).where(UploadRow.tenant == tenant, UploadRow.dataset_id.is_(None))
    if key is not None:
        same = unfinished.where(UploadRow.key == key, UploadRow.name == name).order_by(UploadRow.id.desc()).limit(1)
        found = session.scalar(same)
        if found is not None and found.options == options:
            return found, False
    if (count := session.scalar(select(func.count()).select_from(unfinished.subquery())) or 0) >= MAX_UNFINISHED:
        raise QuotaExceeded(f"{count:,} of your uploads are unfinished; end or delete one first")
    row = UploadRow(id=new_id("up"), tenant=tenant, name=name, options=options, key=key, bytes=0)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, True


def find_upload(session: Session, upload_id: str, *, lock: bool = False) -> UploadRow:
    """The upload.

    Raises:
        UploadNotFound: there is none.
    """
    row = session.get(UploadRow, upload_id, with_for_update=True if lock else None)
    if row is None:
        raise UploadNotFound(f"there is no upload '{upload_id}': begin another")
    return row


def require_offset(row: UploadRow, offset: int) -> None:
    """Let a part come that begins at `offset`.

    Raises:
        UploadOver: the upload is a dataset already.
        UploadOffset: it ends elsewhere.
    """
    if row.dataset_id is not None:
        raise UploadOver(f"the upload '{row.id}' is the dataset '{row.dataset_id}'")
    if row.bytes != offset:
        error = UploadOffset(f"the upload ends at byte {row.bytes:,}, and this part begins at {offset:,}")
        error.offset = row.bytes
        raise error


def add_part(
    session: Session, tenant: str, upload_id: str, defaults: Limits, *, offset: int, size: int, blob: str
) -> int:
    """Add a part that lies in the store already; where the upload ends with it.

    Raises:
        UploadNotFound, UploadOver, UploadOffset: as `find_upload` and `require_offset`.
        QuotaExceeded: the tenant would keep too many bytes.
    """
    limits = locked_limits(session, tenant, defaults)
    row = find_upload(session, upload_id, lock=True)
    require_offset(row, offset)
    session.add(UploadPartRow(upload_id=upload_id, tenant=tenant, first=offset, bytes=size, blob=blob))
    row.bytes += size
    row.touched_at = database_now()
    session.flush()
    if limits.bytes and kept_bytes(session, tenant) > limits.bytes:
        raise too_many_bytes(limits.bytes)
    return row.bytes


def remove_part(session: Session, store: Store, upload_id: str, blob: str) -> None:
    """Remove the bytes of a part that found no place, unless an equal one has, under the lock of the upload's row."""
    session.get(UploadRow, upload_id, with_for_update=True)
    equal = select(UploadPartRow.first).where(UploadPartRow.upload_id == upload_id, UploadPartRow.blob == blob)
    if session.scalar(equal.limit(1)) is None:
        store.remove(parts(store, upload_id).name(blob))


def parts_of(session: Session, upload_id: str) -> Sequence[str]:
    """Digests of an upload's parts, in their order."""
    of_upload = select(UploadPartRow.blob).where(UploadPartRow.upload_id == upload_id)
    return session.scalars(of_upload.order_by(UploadPartRow.first)).all()


def end_upload(session: Session, upload_id: str, dataset_id: str) -> None:
    """Note that a dataset was made of it."""
    row = find_upload(session, upload_id, lock=True)
    row.dataset_id = dataset_id
    for part in session.scalars(select(UploadPartRow).where(UploadPartRow.upload_id == upload_id)):
        session.delete(part)


def delete_upload(session: Session, upload_id: str) -> None:
    """Forget an upload; its parts in the store go with `remove_parts`, once this is committed.

    Raises:
        UploadNotFound: there is none.
    """
    session.delete(find_upload(session, upload_id, lock=True))


def remove_parts(store: Store, upload_id: str) -> None:
    """Remove an upload's bytes. What is missed, because this process dies, is an orphan that maintenance finds."""
    remove_all(store, parts_prefix(upload_id))
