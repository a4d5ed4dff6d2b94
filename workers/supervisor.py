"""The supervisor: claims a step, has a runner do it, keeps the lease alive, and writes what came of it.

It never imports torch. Whatever happens to the runner - a crash, too much memory, too much time, a lost lease, a
cancelled job, a worker that stops - ends in exactly one of the transitions of `models.lifecycle`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog

from frontrunner.ranking import StepOutput
from frontrunner.settings import Settings
from models import Database, lifecycle
from models.lifecycle import Claim
from workers.process import RunnerDied, RunnerProcess

# A runner that waits for the next step of its job holds torch and a model in memory: not for long.
IDLE_S = 20.0

_log = structlog.get_logger(__name__)


@dataclass
class _Idle:
    runner: RunnerProcess
    job_id: str
    since: float


class Supervisor:
    """Does steps with runners; one instance a worker process, called from many threads.

    A runner that finished a step well is kept for the next step of the same job: loading torch costs seconds. It is
    never handed to another job, and never used again after anything went wrong.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []

    def run_step(self, step_id: str) -> None:
        """Claim and do one step; nothing if it cannot be claimed."""
        if self._stopping.is_set():
            return
        with self._database.writing() as session:
            claim = lifecycle.claim_step(session, step_id, self._settings.lease_s)
        if claim is None:
            return
        log = _log.bind(step=step_id, job=claim.job_id, attempt=claim.attempt)
        log.info("step_claimed", checkpoint=claim.order["checkpoint"]["id"])
        runner = self._borrow(claim.job_id)
        healthy = False
        try:
            healthy = self._watch(claim, runner)
        except RunnerDied as death:
            with self._database.writing() as session:
                lifecycle.give_up_attempt(session, claim, "runner_crashed", str(death))
            log.warning("runner_crashed", returncode=death.returncode)
        finally:
            if healthy:
                self._give_back(runner, claim.job_id)
            else:
                runner.kill()
        log.info("step_ended", healthy=healthy)

    def stop(self) -> None:
        """Hand running steps back and end every runner; steps that are asked for later are not begun."""
        self._stopping.set()
        with self._lock:
            idle, self._idle = self._idle, []
        for entry in idle:
            entry.runner.kill()

    def retire_idle(self, idle_s: float = IDLE_S) -> None:
        """End runners that have waited for `idle_s`."""
        horizon = time.monotonic() - idle_s
        with self._lock:
            retired = [entry for entry in self._idle if entry.since < horizon]
            self._idle = [entry for entry in self._idle if entry.since >= horizon]
        for entry in retired:
            entry.runner.kill()

    def _watch(self, claim: Claim, runner: RunnerProcess) -> bool:
        """See the step to its end; whether the runner may be used again."""
        settings, database = self._settings, self._database
        runner.order(claim.order)
        deadline = time.monotonic() + settings.step_timeout_s
        next_beat = 0.0
        done = 0
        while True:
            message = runner.answer(timeout_s=min(0.2, settings.heartbeat_s))
            if message is not None and message["event"] == "finished":
                output = StepOutput.model_validate(message["output"])
                with database.writing() as session:
                    return lifecycle.succeed_step(session, claim, output)
            if message is not None and message["event"] == "failed":
                with database.writing() as session:
                    lifecycle.fail_step(session, claim, message["code"], message["reason"])
                return False
            if message is not None and message["event"] == "progress":
                done = message["done"]
            now = time.monotonic()
            if self._stopping.is_set():
                with database.writing() as session:
                    lifecycle.return_step(session, claim)
                return False
            if now > deadline:
                with database.writing() as session:
                    reason = f"the step took longer than {settings.step_timeout_s:g} s"
                    lifecycle.fail_step(session, claim, "step_timed_out", reason)
                return False
            limit = settings.step_memory_bytes
            if limit and (used := runner.resident_bytes()) > limit:
                with database.writing() as session:
                    reason = f"the step used {used:,} bytes of memory; {limit:,} are allowed"
                    lifecycle.fail_step(session, claim, "step_out_of_memory", reason)
                return False
            if now >= next_beat:
                next_beat = now + settings.heartbeat_s
                with database.writing() as session:
                    if not lifecycle.beat(session, claim, settings.lease_s, done):
                        lifecycle.cancel_step(session, claim)
                        return False

    def _borrow(self, job_id: str) -> RunnerProcess:
        with self._lock:
            for entry in self._idle:
                if entry.job_id == job_id:
                    self._idle.remove(entry)
                    if entry.runner.is_alive:
                        return entry.runner
                    break
        self.retire_idle(idle_s=0.0 if self._settings.concurrency == 1 else IDLE_S)
        return RunnerProcess()

    def _give_back(self, runner: RunnerProcess, job_id: str) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._idle.append(_Idle(runner, job_id, time.monotonic()))
                return
        runner.kill()
