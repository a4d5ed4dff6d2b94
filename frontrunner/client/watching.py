"""Following a job by its events, so that whoever waits sees what the work itself says of it; no connection here."""

from __future__ import annotations

import time
from typing import Any

import httpx

from frontrunner.client.connection import JobEvent, Patience
from frontrunner.client.problems import ServiceProblem
from frontrunner.progress import Progress, Stage
from frontrunner.ranking.stages import StageReport

# The service says something at least every quarter of a minute; what is quiet for longer is away.
_QUIET_S = 45.0
# Between two streams of the same job.
PAUSE_S = 0.5
# A job is looked at as often at most, however many of its steps end.
_LOOK_S = 1.0
# Events after which a job has another number of steps that are over.
_STEP_OVER = frozenset({"step.succeeded", "step.failed", "step.lost", "step.cancelled"})


class Watching:
    """Tells a `Progress` what a job's events say, however often the stream of them breaks off.

    Args:
        progress: is told of what workers read, train and fetch, of steps that are over, and of a budget's stages.
        timeout_s: how long to watch.

    Attributes:
        seen: number of the last event that was heard: a new stream begins after it.
    """

    def __init__(self, progress: Progress, timeout_s: float) -> None:
        self._progress = progress
        self._ends_at = time.monotonic() + timeout_s
        self._patience = Patience()
        self._looked_at = time.monotonic()
        self._known = 0  # the last event that the job as last seen tells of
        self._changed = False
        self.seen = 0

    @property
    def read_timeout_s(self) -> float:
        """How long the next stream may be quiet."""
        return max(0.01, min(_QUIET_S, self._ends_at - time.monotonic()))

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._ends_at

    def look(self, job: dict[str, Any]) -> None:
        """Remember what the job as it is now tells of: older events say nothing new of it."""
        self._looked_at, self._known, self._changed = time.monotonic(), job["last_event"], False

    def hear(self, event: JobEvent) -> bool:
        """Pass an event on; whether the job is worth another look: a step is over since the last one, a while ago."""
        self.seen, self._patience = event.number, Patience()
        data = event.data
        if event.type == "step.progress":
            self._progress.advance(Stage(data["stage"]), data["done"], data["total"], of=data.get("of", ""))
        elif event.type == "job.stage":
            self._progress.event(StageReport.model_validate(data["stage"]))
        self._changed = self._changed or (event.type in _STEP_OVER and event.number > self._known)
        return self._changed and time.monotonic() - self._looked_at >= _LOOK_S

    def pause_after(self, error: httpx.TransportError | ServiceProblem) -> float:
        """Seconds to wait before the next stream; none where the time is up.

        Raises:
            httpx.TransportError, ServiceProblem: the error itself, where the service was away for too long or refused.
        """
        if self.is_late:
            return 0.0
        outcome = httpx.Response(error.status) if isinstance(error, ServiceProblem) else error
        pause = self._patience.pause_after(outcome)
        if pause is None:
            raise error
        return pause
