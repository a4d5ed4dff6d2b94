"""The supervisor: takes the best step of its queues, has a runner do it, and goes on until there is none.

It never imports torch. A message only makes it look sooner: it polls as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError

from frontrunner.errors import InternalError
from frontrunner.settings import Settings
from frontrunner.telemetry import NO_TRACES, Attributes, Traces, trace_of
from jobs import lifecycle
from jobs.lifecycle import Claim
from models import Database
from workers.grants import StepNeeds
from workers.runner_process import RunnerProcess
from workers.supervised_step import Stop, SupervisedStep

# A runner that waits for its next step holds torch and a model in memory: not for long.
IDLE_S = 20.0
# Starting a runner costs a second; what its libraries never give back is given back after this many steps.
STEPS_PER_RUNNER = 50

_log = structlog.get_logger(__name__)


@dataclass
class _PooledRunner:
    runner: RunnerProcess
    tenant: str
    steps: int
    since: float


class Supervisor:
    """Does steps with runners, at most `settings.concurrency` at a time; one a worker process, called from any thread.

    A runner that finished a step well is kept for the next one of the same tenant on the same data. It is never handed
    to another tenant, and never used again after anything went wrong.
    """

    def __init__(
        self, database: Database, settings: Settings, queues: Collection[str], traces: Traces = NO_TRACES
    ) -> None:
        self._traces = traces
        self._database = database
        self._settings = settings
        self._queues = queues
        self._slots = threading.Semaphore(settings.concurrency)
        self._stop = Stop(requested=threading.Event(), forced=threading.Event())
        self._lock = threading.Lock()
        self._idle: list[_PooledRunner] = []

    def work(self) -> None:
        """Do steps until none is left in the queues, every slot is taken, or the worker stops."""
        while not self._stop.requested.is_set() and self._slots.acquire(blocking=False):
            try:
                if not self._do_best_step():
                    return
            finally:
                self._slots.release()

    def poll(self) -> None:
        """Look for work every `poll_period_s` until the worker stops: messages may be lost, and the broker away."""
        while not self._stop.requested.wait(self._settings.poll_period_s):
            try:
                self.work()
            except OperationalError as error:
                _log.warning("database_away", error=str(error.orig))
            except Exception:
                _log.exception("poll_failed")

    def stop(self) -> None:
        """Stop: at first after the shards in hand, asked again at once. Steps are handed back uncharged either way."""
        if self._stop.requested.is_set():
            self._stop.forced.set()
        self._stop.requested.set()
        self.retire_idle(idle_s=0.0)

    def wait(self) -> None:
        """Wait until every step in hand has been handed back or ended."""
        for _ in range(self._settings.concurrency):
            self._slots.acquire()

    def retire_idle(self, idle_s: float = IDLE_S) -> None:
        """End runners that have waited for `idle_s`."""
        horizon = time.monotonic() - idle_s
        with self._lock:
            retired = [entry for entry in self._idle if entry.since <= horizon]
            self._idle = [entry for entry in self._idle if entry.since > horizon]
        for entry in retired:
            entry.runner.kill()

    def _do_best_step(self) -> bool:
        with self._database.write_transaction() as session:
            claim = lifecycle.claim_best(session, self._queues, self._settings.lease_s, self._settings.quota_compute_s)
        if claim is None:
            return False
        about: Attributes = {
            "frontrunner.job": claim.job_id,
            "frontrunner.step": claim.name,
            "frontrunner.attempt": claim.attempt,
        }
        with (
            self._traces.span(
                f"step {claim.kind}", kind="consumer", parent=claim.trace_parent, attributes=about
            ) as span,
            structlog.contextvars.bound_contextvars(
                request_id=claim.correlation_id,
                job=claim.job_id,
                step=claim.step_id,
                attempt=claim.attempt,
                **trace_of(span.traceparent),
            ),
        ):
            _log.info("step_claimed", kind=claim.kind, name=claim.name)
            self._do(claim)
        return True

    def _do(self, claim: Claim) -> None:
        healthy = False
        try:
            healthy = self._have_done(claim)
        except Exception as error:  # whatever it is, others need not wait for the lease to run out
            _log.exception("step_unsupervised")
            self._give_up(claim, error)
        finally:
            _log.info("step_ended", healthy=healthy)

    def _have_done(self, claim: Claim) -> bool:
        needs = StepNeeds(claim.kind, claim.payload, self._settings)
        pooled = self._take_runner(claim.tenant, needs)
        healthy = False
        try:
            watch = SupervisedStep(
                self._database, self._settings, claim, needs, pooled.runner, self._stop, self._traces
            )
            healthy = watch.run()
        finally:
            if healthy:
                self._return_runner(pooled)
            else:
                pooled.runner.kill()
        return healthy

    def _give_up(self, claim: Claim, error: Exception) -> None:
        reason = f"the worker met an error ({type(error).__name__}); its log has the details"
        delay_s = self._settings.retry_delay_s
        try:
            with self._database.write_transaction() as session:
                lifecycle.give_up_attempt(session, claim, InternalError.code, reason, delay_s=delay_s)
        except OperationalError as away:  # the lease runs out
            _log.warning("database_away", error=str(away.orig))

    def _take_runner(self, tenant: str, needs: StepNeeds) -> _PooledRunner:
        with self._lock:
            known = [entry for entry in self._idle if entry.tenant == tenant]
        for entry in known:
            # It looks at paths, which may take long: not under the lock.
            if needs.fit(entry.runner.places) and self._take_idle(entry):
                if entry.runner.is_alive:
                    return entry
                entry.runner.kill()
        self.retire_idle(idle_s=0.0 if self._settings.concurrency == 1 else IDLE_S)
        return _PooledRunner(RunnerProcess(self._settings, needs.places()), tenant, 0, time.monotonic())

    def _take_idle(self, entry: _PooledRunner) -> bool:
        """Whether it was still idle: nobody else takes or retires it now."""
        with self._lock:
            was_idle = any(other is entry for other in self._idle)
            self._idle = [other for other in self._idle if other is not entry]
        return was_idle

    def _return_runner(self, pooled: _PooledRunner) -> None:
        pooled.steps += 1
        pooled.since = time.monotonic()
        with self._lock:
            if pooled.steps < STEPS_PER_RUNNER and not self._stop.requested.is_set():
                self._idle.append(pooled)
                return
        pooled.runner.kill()
