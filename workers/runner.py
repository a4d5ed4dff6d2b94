"""The runner: the process that does the heavy work of steps, and nothing else.

It reads instructions on stdin - a step, or the wish that it stop at the next safe point - and answers on stdout, a line
each; `workers.runner_protocol` lists both. It holds no database credentials, and dies at once when stdin closes, so no
runner outlives its supervisor.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import time
from typing import TextIO

import structlog
from pydantic import BaseModel

from frontrunner.errors import DiskFull, InternalError, StoreUnavailable
from frontrunner.failures import is_failure, refusal_of
from frontrunner.logs import configure_logs
from frontrunner.progress import Event, Stage
from jobs.work import run_payload
from workers.runner_protocol import (
    Advanced,
    Credentials,
    Failed,
    Finished,
    Lost,
    Noted,
    StartStep,
    Stopped,
    StopStep,
    line_of,
    read_instruction,
)

# Progress lines are for people: more often than this nobody can tell.
_PROGRESS_PERIOD_S = 0.25

_log = structlog.get_logger("frontrunner.runner")


class StopWork(BaseException):
    """The supervisor asked to stop and the work is at a safe point: unwinds it, whatever it catches."""


class ReportedProgress:
    """The `Progress` of a step in a runner: tells the supervisor, and stops the work at a safe point if asked to."""

    def __init__(self, answers: TextIO, stopping: threading.Event) -> None:
        self._answers = answers
        self._stopping = stopping
        self._said_at = float("-inf")
        self._stage: Stage | None = None

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Tell the supervisor, unless it has just heard of this stage."""
        now = time.monotonic()
        if done == total or stage != self._stage or now - self._said_at >= _PROGRESS_PERIOD_S:
            self._said_at, self._stage = now, stage
            say(self._answers, Advanced(stage=stage, done=done, total=total, of=of))

    def safe_point(self) -> None:
        """Stop here if the supervisor asked for it."""
        if self._stopping.is_set():
            raise StopWork

    def event(self, event: Event) -> None:
        """Pass an event on to those who watch the job."""
        say(self._answers, Noted(type=event.type, data=event.model_dump(mode="json")))


def main() -> None:
    """Do steps until stdin closes."""
    # A core would hold the keys of the store and what others uploaded.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = _claim_stdout()
    steps: queue.Queue[StartStep] = queue.Queue()
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(steps, stopping), daemon=True).start()
    while True:
        step = steps.get()
        configure_logs(step.log_level, as_json=step.log_as_json)
        with structlog.contextvars.bound_contextvars(**step.context):
            _do(step.kind, step.payload, answers, stopping)


def _do(kind: str, payload: str, answers: TextIO, stopping: threading.Event) -> None:
    _log.info("step_begun", kind=kind)
    try:
        output = run_payload(kind, payload, ReportedProgress(answers, stopping))
    except StopWork:
        say(answers, Stopped())
    except BaseException as error:
        if not is_failure(error):
            raise
        refusal = refusal_of(error, "this step")
        # What is not the input's fault may go better another time.
        ending = Lost if isinstance(refusal, (InternalError, DiskFull, StoreUnavailable)) else Failed
        _log.warning("step_refused", kind=kind, code=refusal.code)
        say(answers, ending(code=refusal.code, reason=refusal.reason))
    else:
        _log.info("step_done", kind=kind)
        say(answers, Finished(output=output))


def _listen(steps: queue.Queue[StartStep], stopping: threading.Event) -> None:
    for line in sys.stdin:
        instruction = read_instruction(line)
        if isinstance(instruction, StopStep):
            stopping.set()
        elif isinstance(instruction, Credentials):
            os.environ.update(instruction.environment)
        else:
            steps.put(instruction)
    os._exit(0)


def _claim_stdout() -> TextIO:
    """Our own handle on stdout; whatever else prints there goes to stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def say(answers: TextIO, message: BaseModel) -> None:
    """Write one answer."""
    answers.write(line_of(message))
    answers.flush()


if __name__ == "__main__":
    main()
