"""`Job` and `AsyncJob`: work of a service, waited for and watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

from frontrunner.client.connection import LONGEST_S, JobEvent, Operation
from frontrunner.client.problems import ServiceProblem
from frontrunner.client.watching import PAUSE_S, Watching
from frontrunner.progress import SILENT, Progress, Stage
from frontrunner.ranking.local import watched
from frontrunner.status import Status

if TYPE_CHECKING:
    from frontrunner.client.asynchronous import AsyncClient
    from frontrunner.client.synchronous import Client

Result = TypeVar("Result")


class _Seen(Generic[Result]):
    """A job as last seen, whoever waits for it.

    Attributes:
        id: its id.
        status: as last seen.
    """

    def __init__(self, body: dict[str, Any], read: Callable[[], Operation[Result]]) -> None:
        self._read = read
        self.id: str = body["id"]
        self.status = Status(body["status"])

    def _hears(self, listener: Progress, on_job: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """What a job is told to as it changes: this, who shows its steps, and who asked to hear of it."""

        def heard(job: dict[str, Any]) -> None:
            self.status = Status(job["status"])
            steps = job["progress"]
            listener.advance(Stage.RANK, steps["steps_done"], max(steps["steps_total"], 1))
            on_job(job)

        return heard


class Job(_Seen[Result]):
    """A job of the service, and what comes out of it.

    Attributes:
        id: its id.
        status: as last seen.
    """

    def __init__(self, client: Client, body: dict[str, Any], read: Callable[[], Operation[Result]]) -> None:
        super().__init__(body, read)
        self._client = client

    def wait(
        self,
        *,
        timeout_s: float = LONGEST_S,
        progress: Progress | None = None,
        on_job: Callable[[dict[str, Any]], None] = lambda job: None,
    ) -> Result:
        """Wait for the result and return it; a restart of the service is sat out.

        Args:
            timeout_s: how long.
            progress: hears how many steps are over; by default a bar where somebody is watching.
            on_job: hears the job as it changes, once a second at most.

        Raises:
            ServiceProblem: there is no such job any more, or it has no result.
            TimeoutError: the job did not end in time. It goes on; `wait` may be called again.
        """
        ends_at = time.monotonic() + timeout_s
        with watched(progress) as listener:
            heard = self._hears(listener, on_job)
            is_over = listener is not SILENT and self._watch(Watching(listener, timeout_s), heard)
            if not is_over:
                self._client.wait(self.id, on_job=heard, timeout_s=max(0.0, ends_at - time.monotonic()))
        return self._client.run(self._read())

    def _watch(self, watching: Watching, heard: Callable[[dict[str, Any]], None]) -> bool:
        """Follow the job's events until it is over, or the time is up; whether it is over."""

        def look() -> None:
            job = self._client.job(self.id)
            watching.look(job)
            heard(job)

        look()
        while not (watching.is_late or self.status.is_terminal):
            pause = PAUSE_S
            try:
                events = self._client.events(self.id, after=watching.seen, quiet_s=watching.read_timeout_s)
                for event in events:
                    if watching.hear(event):
                        look()
                    if watching.is_late:
                        return False
                look()  # a service that stops ends its streams too
            except (httpx.TransportError, ServiceProblem) as error:
                pause = watching.pause_after(error)
            if not self.status.is_terminal:
                time.sleep(pause)
        return self.status.is_terminal

    def events(self, *, after: int = 0) -> Iterator[JobEvent]:
        """What happens to it, from event `after` on, until it is over."""
        return self._client.events(self.id, after=after)

    def cancel(self) -> None:
        """Ask it to stop."""
        self.status = Status(self._client.cancel(self.id)["status"])


class AsyncJob(_Seen[Result]):
    """A job of the service, and what comes out of it.

    Attributes:
        id: its id.
        status: as last seen.
    """

    def __init__(self, client: AsyncClient, body: dict[str, Any], read: Callable[[], Operation[Result]]) -> None:
        super().__init__(body, read)
        self._client = client

    async def wait(
        self,
        *,
        timeout_s: float = LONGEST_S,
        progress: Progress | None = None,
        on_job: Callable[[dict[str, Any]], None] = lambda job: None,
    ) -> Result:
        """Wait for the result and return it; a restart of the service is sat out.

        Args:
            timeout_s: how long.
            progress: hears how many steps are over; by default a bar where somebody is watching.
            on_job: hears the job as it changes, once a second at most.

        Raises:
            ServiceProblem: there is no such job any more, or it has no result.
            TimeoutError: the job did not end in time. It goes on; `wait` may be called again.
        """
        ends_at = time.monotonic() + timeout_s
        with watched(progress) as listener:
            heard = self._hears(listener, on_job)
            is_over = listener is not SILENT and await self._watch(Watching(listener, timeout_s), heard)
            if not is_over:
                await self._client.wait(self.id, on_job=heard, timeout_s=max(0.0, ends_at - time.monotonic()))
        return await self._client.run(self._read())

    async def _watch(self, watching: Watching, heard: Callable[[dict[str, Any]], None]) -> bool:
        """Follow the job's events until it is over, or the time is up; whether it is over."""

        async def look() -> None:
            job = await self._client.job(self.id)
            watching.look(job)
            heard(job)

        await look()
        while not (watching.is_late or self.status.is_terminal):
            pause = PAUSE_S
            try:
                events = self._client.events(self.id, after=watching.seen, quiet_s=watching.read_timeout_s)
                async for event in events:
                    if watching.hear(event):
                        await look()
                    if watching.is_late:
                        return False
                await look()  # a service that stops ends its streams too
            except (httpx.TransportError, ServiceProblem) as error:
                pause = watching.pause_after(error)
            if not self.status.is_terminal:
                await asyncio.sleep(pause)
        return self.status.is_terminal

    def events(self, *, after: int = 0) -> AsyncIterator[JobEvent]:
        """What happens to it, from event `after` on, until it is over."""
        return self._client.events(self.id, after=after)

    async def cancel(self) -> None:
        """Ask it to stop."""
        self.status = Status((await self._client.cancel(self.id))["status"])
