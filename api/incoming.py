"""What is on its way in: bytes of uploads by tenant, and what is still to be done once they were answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool


class Incoming:
    """What this process receives now. Lives in one event loop.

    Attributes:
        bytes: of uploads that are not datasets yet, by tenant.
    """

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self._later: set[asyncio.Task[None]] = set()

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do something once the event loop is free for it: how long it takes shows in no answer."""
        task = asyncio.ensure_future(run_in_threadpool(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def drain(self) -> None:
        """Wait for what is still to be done."""
        await asyncio.gather(*self._later, return_exceptions=True)
