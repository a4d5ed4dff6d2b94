"""A small pool for the checks of uploads: what they take in sum is bounded, and they hold up nobody else.

A check decodes all of a dataset in a process of its own, for minutes if need be. Checks take no thread of those that
answer requests; beyond a few they wait, without a thread, and beyond some that wait they are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog

from frontrunner.confinement import probe
from frontrunner.errors import FrontrunnerError

# How many may wait for each that runs, and how long. Their bytes lie on the disk meanwhile.
WAITING_EACH = 4
MAX_WAIT_S = 30.0
# Threads that write what is uploaded: many uploads at once take none of those that answer everybody else.
WRITING_THREADS = 4
RETRY_AFTER_S = 30

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class ChecksBusy(FrontrunnerError):
    """As many datasets are being checked as this service checks at a time."""

    code = "checks_busy"


def tell_confinement() -> None:
    """Log what the processes that check uploads are rid of on this system, and why of what they are not."""
    found = probe()
    (_log.info if found.is_whole else _log.warning)("checks_confined", **asdict(found))


class CheckPool:
    """Runs checks, `size` at a time. Lives in one event loop.

    Attributes:
        writing: bounds the threads that write uploads.
    """

    def __init__(self, size: int) -> None:
        self._threads = anyio.CapacityLimiter(size)
        self._slots = asyncio.Semaphore(size)
        self.writing = anyio.CapacityLimiter(WRITING_THREADS)
        self._size = size
        self._waiting = 0

    def refuse_if_full(self) -> None:
        """Say early, before an upload is received, that it could not be checked.

        Raises:
            ChecksBusy: too many wait already.
        """
        if self._waiting >= WAITING_EACH * self._size:
            raise ChecksBusy(f"{self._size} datasets are being checked and {self._waiting} wait; send it again later")

    async def run(self, check: Callable[[], T]) -> T:
        """What `check` returns, once there was a free place for it.

        Raises:
            ChecksBusy: too many wait already, or none had ended in time.
        """
        if self._slots.locked():
            self.refuse_if_full()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._slots.acquire(), MAX_WAIT_S)
        except TimeoutError:
            raise ChecksBusy(f"no check of a dataset ended within {MAX_WAIT_S:g} s; send it again later") from None
        finally:
            self._waiting -= 1
        try:
            return await anyio.to_thread.run_sync(check, limiter=self._threads)
        finally:
            self._slots.release()
