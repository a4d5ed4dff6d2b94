"""What was looked up a moment ago, asked for by many requests at once and looked up once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import OperationalError

# Entries beyond this are forgotten together.
_MAX_ENTRIES = 10_000

T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers of a slow look by name, each good for some seconds. Lives in one event loop.

    While one request looks, others that want the same wait for its answer: thirty-two that begin together would
    otherwise take thirty-two threads and connections. An answer that raises is not remembered.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[float, T]] = {}
        self._looking: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, name: Hashable, look: Callable[[], T], for_s: float) -> T:
        """What `look` says, or has said within `for_s`. With the database away, what it said last.

        Args:
            name: of what is looked up.
            look: called in a thread.
            for_s: how old an answer may be.
        """
        at, found = self._entries.get(name, (float("-inf"), None))
        if time.monotonic() - at <= for_s:
            return found  # type: ignore[return-value]
        task = self._looking.get(name)
        if task is None:
            task = asyncio.ensure_future(self._look(name, look))
            self._looking[name] = task
            task.add_done_callback(lambda _: self._looking.pop(name, None))
        try:
            return await asyncio.shield(task)  # a client that leaves ends its own waiting only
        except OperationalError:
            if name not in self._entries:
                raise
            return self._entries[name][1]

    async def _look(self, name: Hashable, look: Callable[[], T]) -> T:
        found = await run_in_threadpool(look)
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.clear()
        self._entries[name] = (time.monotonic(), found)
        return found
