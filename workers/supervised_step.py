"""One step under supervision: a runner does it, we keep the lease alive and write what came of it.

Whatever happens to the runner - a crash, too much memory, too much time, a lost lease, a cancelled job, a worker that
stops - ends in exactly one of the transitions of `jobs.lifecycle`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from frontrunner.settings import Settings
from frontrunner.telemetry import NO_TRACES, Span, Traces, trace_of
from jobs import lifecycle
from jobs.lifecycle import Claim, StepProgress
from models import Database
from workers.grants import StepNeeds
from workers.runner_process import RunnerDied, RunnerProcess
from workers.runner_protocol import Advanced, Ending, Failed, Finished, Lost, Noted, StartStep, Stopped
from workers.stage_spans import StageSpans

# How soon a cancellation or a stop is noticed, whatever the runner says meanwhile.
_LISTEN_S = 0.2
# Events of the work that are written down for each attempt: a curve of two points an epoch has fewer. The result holds
# what the rest said; a confined half in a stranger's hands could say it without end.
MAX_NOTES = 5000
# While the database is away, an outcome is tried again this often, and no longer than this: the lease has run out long
# before, but the token still proves that nobody else has done the step.
_SETTLE_AGAIN_S = 0.5
_SETTLE_S = 600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Stop:
    """How a worker stops: requested first, at the next safe points; then forced, at once."""

    requested: threading.Event
    forced: threading.Event


class SupervisedStep:
    """One claimed step and the runner that does it. `run` is called once, within the step's span."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        claim: Claim,
        needs: StepNeeds,
        runner: RunnerProcess,
        stop: Stop,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._database = database
        self._settings = settings
        self._claim = claim
        self._needs = needs
        self._runner = runner
        self._stop = stop
        self._traces = traces
        self._reached: StepProgress | None = None
        self._notes = 0
        self._has_begun = False
        self._next_look = 0.0
        self._next_beat = 0.0
        self._deadline = time.monotonic() + settings.step_timeout_s
        self._stop_deadline: float | None = None

    def run(self) -> bool:
        """Have the step done; whether the runner ended it well and may be used again."""
        with self._traces.span("run", attributes={"process.pid": self._runner.pid}) as span:
            stages = StageSpans(self._traces, span.traceparent)
            try:
                return self._watch(span, stages)
            finally:
                stages.end()

    def _watch(self, span: Span, stages: StageSpans) -> bool:
        try:
            self._runner.start_step(self._instruction(span))
            while True:
                message = self._runner.answer(timeout_s=min(_LISTEN_S, self._settings.heartbeat_s))
                self._has_begun = self._has_begun or message is not None
                if isinstance(message, Noted):
                    self._note_event(message)
                elif isinstance(message, Advanced):
                    stages.heard(message.stage)
                    self._reached = StepProgress(message.stage, message.done, message.total, message.of)
                elif message is not None:
                    if isinstance(message, (Failed, Lost)):
                        span.fail(f"{message.code}: {message.reason}")
                    return self._ended(message)
                if (ending := self._interruption()) is not None:
                    span.fail("ended from outside")
                    self._runner.kill()
                    self._settle(ending)
                    return False
        except RunnerDied as death:
            _log.warning("runner_crashed", returncode=death.returncode)
            span.fail(str(death))
            self._lose("runner_crashed", str(death))
            return False

    def _instruction(self, span: Span) -> StartStep:
        claim = self._claim
        return StartStep(
            kind=claim.kind,
            payload=claim.payload,
            grant=self._needs.grant(),
            context={"request_id": claim.correlation_id, "job": claim.job_id, "step": claim.step_id}
            | trace_of(span.traceparent),
            log_level=self._settings.log_level,
            log_as_json=self._settings.logs_as_json,
        )

    def _ended(self, message: Ending) -> bool:
        claim = self._claim
        if isinstance(message, Finished):
            return self._settle(lambda session: lifecycle.succeed_step(session, claim, message.output))
        if isinstance(message, Stopped):
            self._settle(lambda session: lifecycle.return_step(session, claim))
        elif isinstance(message, Failed):
            self._settle(lambda session: lifecycle.fail_step(session, claim, message.code, message.reason))
        else:
            self._lose(message.code, message.reason)
        return False

    def _interruption(self) -> Callable[[Session], bool] | None:
        """What ends the step from outside the runner, if anything does now."""
        claim, settings, now = self._claim, self._settings, time.monotonic()
        if now < self._next_look:
            return None
        self._next_look = now + min(_LISTEN_S, settings.heartbeat_s) / 2
        if self._stop.requested.is_set() and self._stop_deadline is None:
            # A runner that has said nothing yet still loads its libraries: there is nothing to be kept.
            self._stop_deadline = now + settings.stop_grace_s if self._has_begun else now - 1
            if self._has_begun:
                self._runner.stop_at_safe_point()
        if self._stop.forced.is_set() or (self._stop_deadline is not None and now > self._stop_deadline):
            return lambda session: lifecycle.return_step(session, claim)
        if now > self._deadline:
            late = f"the step took longer than {settings.step_timeout_s:g} s"
            return lambda session: lifecycle.fail_step(session, claim, "step_timed_out", late)
        limit = settings.step_memory_bytes
        if limit and (used := self._runner.resident_bytes()) > limit:
            large = f"the step used {used:,} bytes of memory; {limit:,} are allowed"
            return lambda session: lifecycle.fail_step(session, claim, "step_out_of_memory", large)
        if now >= self._next_beat:
            self._next_beat = now + settings.heartbeat_s
            if not self._beat():
                return lambda session: lifecycle.cancel_step(session, claim)
        return None

    def _note_event(self, message: Noted) -> None:
        """Note what the work says; while the database is away it is lost, as the result holds it too."""
        self._notes += 1
        if self._notes > MAX_NOTES:
            if self._notes == MAX_NOTES + 1:
                _log.warning("events_left_out", written=MAX_NOTES)
            return
        try:
            with self._database.write_transaction() as session:
                lifecycle.note_event(session, self._claim, message.type, message.data)
        except OperationalError as error:
            _log.warning("database_away", error=str(error.orig))

    def _beat(self) -> bool:
        """Extend the lease; True also while the database is away: the runner goes on meanwhile."""
        try:
            with self._database.write_transaction() as session:
                alive = lifecycle.beat(session, self._claim, self._settings.lease_s, self._reached)
        except OperationalError as error:
            _log.warning("database_away", error=str(error.orig))
            return True
        self._reached = None  # said once
        return alive

    def _lose(self, code: str, reason: str) -> None:
        delay_s = self._settings.retry_delay_s
        self._settle(lambda session: lifecycle.give_up_attempt(session, self._claim, code, reason, delay_s=delay_s))

    def _settle(self, ending: Callable[[Session], bool]) -> bool:
        """Write how the step ended, as soon as the database can be reached; False where the lease was lost."""
        give_up = time.monotonic() + _SETTLE_S
        while True:
            try:
                with self._database.write_transaction() as session:
                    return ending(session)
            except OperationalError as error:
                _log.warning("database_away", error=str(error.orig))
                if time.monotonic() > give_up or self._stop.forced.is_set():
                    return False
                time.sleep(_SETTLE_AGAIN_S)
