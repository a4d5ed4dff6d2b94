"""Hearing that a job has changed: one small query a tenth of a second, however many requests wait, and none without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from models import Database, JobRow

_PERIOD_S = 0.1

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Waiter:
    job_id: str
    version: int
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Watcher:
    """Wakes requests whose job has another version than the one that they know. Lives in one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, version: int, timeout_s: float) -> None:
        """Return once the job has another version, is gone, or `timeout_s` has passed."""
        waiter = _Waiter(job_id, version)
        self._waiters.add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiter.changed.wait(), timeout_s)
        finally:
            self._waiters.discard(waiter)

    async def _look(self) -> None:
        while self._waiters:
            await asyncio.sleep(_PERIOD_S)
            watched = list(self._waiters)
            try:
                versions = await run_in_threadpool(self._versions, {waiter.job_id for waiter in watched})
            except OperationalError as error:
                _log.warning("database_away", error=str(error.orig))
                continue
            for waiter in watched:
                if versions.get(waiter.job_id) != waiter.version:
                    waiter.changed.set()

    def _versions(self, job_ids: Collection[str]) -> dict[str, int]:
        with self._database.read_transaction() as session:
            rows = session.execute(select(JobRow.id, JobRow.version).where(JobRow.id.in_(job_ids)))
            return {row.id: row.version for row in rows}
