"""An upload on its way in: counted against its tenant's quota as it comes, and gone if no dataset comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import Request

from api.state import State
from api.uploads import Upload, receive_upload
from frontrunner.store import BlobWriter
from jobs.datasets import forget_upload
from jobs.quotas import Limits, kept_bytes, limits_of, too_many_bytes


class Arrival:
    """One upload: its bytes are counted with those that its tenant keeps and those that come beside it.

    Args:
        state: of the request.
        writer: where its bytes go; they are at hand until the arrival is over.
        kept: bytes that the tenant keeps.
        limit: bytes that it may; 0 for any number.
    """

    def __init__(self, state: State, writer: BlobWriter, kept: int, limit: int) -> None:
        self._state = state
        self._kept = kept
        self._limit = limit
        self.writer = writer
        self.bytes = 0

    async def receive(self, request: Request) -> Upload:
        """Receive the upload.

        Raises:
            QuotaExceeded: with it the tenant would keep too many bytes; said as soon as that is clear.
            MalformedRequest, DatasetTooLarge, EmptyDataset, StorageFull, StoreUnavailable: as `receive_upload`.
        """
        state = self._state
        return await receive_upload(
            request, self.writer, state.settings.max_upload_bytes, state.checks.writing, self.count
        )

    def count(self, size: int) -> None:
        """Count bytes that have come.

        Raises:
            QuotaExceeded: with them the tenant would keep too many.
        """
        tenant, coming = self._state.principal.tenant, self._state.incoming.bytes
        self.bytes += size
        coming[tenant] += size
        if self._limit and self._kept + coming[tenant] > self._limit:
            raise too_many_bytes(self._limit)


@asynccontextmanager
async def arrival(state: State) -> AsyncIterator[Arrival]:
    """An upload from its first byte until its dataset is written; where none is, its bytes are not kept either."""
    kept, limit = await run_sync(_room, state, limiter=state.checks.writing)
    incoming = state.incoming
    with state.uploads.receive(state.settings.max_upload_bytes) as writer:
        coming = Arrival(state, writer, kept, limit)
        try:
            yield coming
        finally:
            incoming.bytes.subtract({state.principal.tenant: coming.bytes})
            incoming.bytes += Counter()
            blob = writer.kept
            if blob is not None:
                incoming.afterwards(lambda: forget(state, blob))


def forget(state: State, blob: str) -> None:
    """Remove uploaded bytes, unless a dataset is made of them, whoever's: after the answer.

    Whoever is about to make one has the bytes at hand, and puts them there again.
    """
    forget_upload(state.database, state.store, blob)


def _room(state: State) -> tuple[int, int]:
    tenant = state.principal.tenant
    with state.database.read_transaction() as session:
        return kept_bytes(session, tenant), limits_of(session, tenant, Limits.of(state.settings)).bytes
