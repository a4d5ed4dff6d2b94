"""An upload on its way in: counted against its tenant's quota as it comes, and gone if no dataset comes of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import Request

from api.state import State
from api.uploads import Upload, receive_upload
from jobs.datasets import forget_upload
from jobs.quotas import Limits, kept_bytes, limits_of, too_many_bytes


class Arrival:
    """One upload: its bytes are counted with those that its tenant keeps and those that come beside it.

    Args:
        state: of the request.
        kept: bytes that the tenant keeps.
        limit: bytes that it may; 0 for any number.
    """

    def __init__(self, state: State, kept: int, limit: int) -> None:
        self._state = state
        self._kept = kept
        self._limit = limit
        self.bytes = 0
        self.blob: str | None = None

    async def receive(self, request: Request) -> Upload:
        """Receive the upload.

        Raises:
            QuotaExceeded: with it the tenant would keep too many bytes; said as soon as that is clear.
            MalformedRequest, DatasetTooLarge, EmptyDataset, StorageFull, StoreUnavailable: as `receive_upload`.
        """
        state = self._state
        return await receive_upload(
            request, state.uploads, state.settings.max_upload_bytes, state.checks.writing, self.count, self.hold
        )

    def hold(self, blob: str) -> threading.Lock:
        """Hold bytes that are about to lie in the store: nobody removes them before the dataset is written.

        Returns:
            The lock under which they are put there.
        """
        self.blob = blob
        self._state.incoming.blobs[blob] += 1
        return self._state.incoming.moving(blob)

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
    coming = Arrival(state, *await run_sync(_room, state, limiter=state.checks.writing))
    incoming = state.incoming
    try:
        yield coming
    finally:
        incoming.bytes.subtract({state.principal.tenant: coming.bytes})
        incoming.bytes += Counter()
        blob = coming.blob
        if blob is not None:
            incoming.blobs.subtract([blob])
            incoming.blobs += Counter()
            incoming.afterwards(lambda: forget(state, blob))


def forget(state: State, blob: str) -> None:
    """Remove uploaded bytes, unless a dataset is made of them, whoever's, or may still be made: after the answer."""
    with state.incoming.moving(blob):
        if not state.incoming.blobs[blob]:
            forget_upload(state.database, state.store, blob)


def _room(state: State) -> tuple[int, int]:
    tenant = state.principal.tenant
    with state.database.read_transaction() as session:
        return kept_bytes(session, tenant), limits_of(session, tenant, Limits.of(state.settings)).bytes
