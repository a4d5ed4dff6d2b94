"""Spans of what a runner does, made by its supervisor from what it says: a runner has no address of a collector."""

from __future__ import annotations

import time

from frontrunner.progress import Stage
from frontrunner.telemetry import Traces


class StageSpans:
    """A span for each stage of a step, from the first that is heard of it until another one begins.

    Args:
        traces: where they go.
        parent: the `traceparent` of the runner's span.
    """

    def __init__(self, traces: Traces, parent: str) -> None:
        self._traces = traces
        self._parent = parent
        self._stage: Stage | None = None
        self._began_ns = 0

    def heard(self, stage: Stage) -> None:
        """The runner is at this stage."""
        if stage != self._stage:
            self.end()
            self._stage, self._began_ns = stage, time.time_ns()

    def end(self) -> None:
        """The stage that is under way is over, if there is one."""
        if self._stage is not None:
            self._traces.record(self._stage, self._began_ns, time.time_ns(), parent=self._parent)
            self._stage = None
