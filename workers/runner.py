"""The runner: the process that does the heavy work of steps, and nothing else.

It reads JSON lines on stdin - an order each, or the wish that it stop after the shard in hand - and answers with JSON
lines on stdout: `progress`, then one of `finished`, `failed` (the input's fault), `lost` (ours) or `stopped`. It holds
no database credentials, and dies at once when stdin closes, so no runner outlives its supervisor.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from typing import Any, TextIO

import structlog

from frontrunner.blobs import DISK_FULL
from frontrunner.errors import FrontrunnerError
from frontrunner.extraction.cache import SHARD_SIZE
from frontrunner.logs import configure_logs
from workers.work import WORK

# Progress lines are for people: more often than this nobody can tell.
_PROGRESS_PERIOD_S = 0.25

_log = structlog.get_logger("frontrunner.runner")


class Stopped(BaseException):
    """The shard in hand is kept and the supervisor asked to stop: unwinds the work, whatever it catches."""


class Progress:
    """Hears from the work how far it is, tells the supervisor, and stops the work between two shards if asked to."""

    def __init__(self, answers: TextIO, stopping: threading.Event) -> None:
        self._answers = answers
        self._stopping = stopping
        self._said_at = 0.0
        self._stop_after: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._said_at >= _PROGRESS_PERIOD_S:
            self._said_at = now
            say(self._answers, event="progress", done=done, total=total)
        if self._stopping.is_set():
            if self._stop_after is None:
                self._stop_after = -(-done // SHARD_SIZE) * SHARD_SIZE
            # Beyond the shard that was in hand, so that one is written for certain.
            if done > self._stop_after:
                raise Stopped

    def tell(self, type_: str, **data: Any) -> None:
        """Pass an event on to those who watch the job."""
        say(self._answers, event="told", type=type_, data=data)


def main() -> None:
    """Do steps until stdin closes."""
    answers = _claim_stdout()
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(orders, stopping), daemon=True).start()
    while True:
        order = orders.get()
        configure_logs(order["log"]["level"], as_json=order["log"]["as_json"])
        with structlog.contextvars.bound_contextvars(**order["context"]):
            _do(order["kind"], order["order"], answers, stopping)


def _do(kind: str, order: dict[str, Any], answers: TextIO, stopping: threading.Event) -> None:
    _log.info("step_begun", kind=kind)
    try:
        output = WORK[kind](order, Progress(answers, stopping))
    except Stopped:
        say(answers, event="stopped")
    except FrontrunnerError as error:
        say(answers, event="failed", code=error.code, reason=error.reason)
    except MemoryError:
        say(answers, event="failed", code="out_of_memory", reason="the step needs more memory than there is")
    except Exception as error:
        _log.exception("step_lost")
        code = "disk_full" if _finds_disk_full(error) else "internal_error"
        say(answers, event="lost", code=code, reason=f"{type(error).__name__}: {error}")
    else:
        _log.info("step_done", kind=kind)
        say(answers, event="finished", output=output.model_dump(mode="json"))


def _finds_disk_full(error: Exception) -> bool:
    """NumPy says of a short write how much was written, and not why: only a full disk cuts one short."""
    return isinstance(error, OSError) and (
        error.errno in DISK_FULL or (error.errno is None and str(error).endswith(" written"))
    )


def _listen(orders: queue.Queue[dict[str, Any]], stopping: threading.Event) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["event"] == "stop":
            stopping.set()
        else:
            orders.put(message)
    os._exit(0)


def _claim_stdout() -> TextIO:
    """Our own handle on stdout; whatever else prints there goes to stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def say(answers: TextIO, **message: Any) -> None:
    """Write one answer."""
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
