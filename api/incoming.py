"""What is on its way in: bytes of uploads by tenant, and uploads whose datasets are not written yet."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool

# Equal uploads wait for one another, and one in so many others for them.
_LOCKS = 64


class Incoming:
    """What this process receives now. Lives in one event loop.

    Attributes:
        bytes: of uploads that are not datasets yet, by tenant.
        blobs: how many of these uploads have these bytes.
    """

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.blobs: Counter[str] = Counter()
        self._later: set[asyncio.Task[None]] = set()
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def moving(self, blob: str) -> threading.Lock:
        """To be held, by a thread, while bytes are put into the store or removed: equal uploads come at one moment."""
        return self._locks[int(blob[:8], 16) % _LOCKS]

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do something once the event loop is free for it: how long it takes shows in no answer."""
        task = asyncio.ensure_future(run_in_threadpool(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def drain(self) -> None:
        """Wait for what is still to be done."""
        await asyncio.gather(*self._later, return_exceptions=True)
