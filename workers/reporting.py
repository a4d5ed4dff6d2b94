"""The `Progress` of a step in a runner: tells the supervisor, and stops the work at a safe point if asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import BaseModel

from frontrunner.progress import Event, Stage
from workers.runner_protocol import Advanced, Noted

# Progress lines are for people: more often than this nobody can tell.
_PROGRESS_PERIOD_S = 0.25


class StopWork(BaseException):
    """The supervisor asked to stop and the work is at a safe point: unwinds it, whatever it catches."""


class ReportedProgress:
    """See the module.

    Args:
        say: hands a message on.
        stopping: set where the work is to stop.
    """

    def __init__(self, say: Callable[[BaseModel], None], stopping: threading.Event) -> None:
        self._say = say
        self._stopping = stopping
        self._said_at = float("-inf")
        self._stage: Stage | None = None

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Tell the supervisor, unless it has just heard of this stage."""
        now = time.monotonic()
        if done == total or stage != self._stage or now - self._said_at >= _PROGRESS_PERIOD_S:
            self._said_at, self._stage = now, stage
            self._say(Advanced(stage=stage, done=done, total=total, of=of))

    def safe_point(self) -> None:
        """Stop here if the supervisor asked for it."""
        if self._stopping.is_set():
            raise StopWork

    def event(self, event: Event) -> None:
        """Pass an event on to those who watch the job."""
        self._say(Noted(type=event.type, data=event.model_dump(mode="json")))
