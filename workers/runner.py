"""The runner: the process that does the heavy work of steps, and nothing else.

It reads one JSON `StepOrder` a line on stdin and answers with JSON lines on stdout: `progress`, then `finished` or
`failed`. It holds no database credentials, and dies at once when stdin closes, so no runner outlives its supervisor.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from typing import Any, TextIO

from frontrunner.errors import FrontrunnerError
from frontrunner.ranking import StepOrder, run_step

# Progress lines are for people: more often than this nobody can tell.
_PROGRESS_PERIOD_S = 0.25


def main() -> None:
    """Do steps until stdin closes."""
    answers = _claim_stdout()
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while True:
        _do(StepOrder.model_validate_json(orders.get()), answers)


def _do(order: StepOrder, answers: TextIO) -> None:
    last = 0.0

    def on_progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _PROGRESS_PERIOD_S:
            last = now
            _say(answers, event="progress", done=done, total=total)

    try:
        output = run_step(order, on_progress)
    except FrontrunnerError as error:
        _say(answers, event="failed", code=error.code, reason=error.reason)
    except MemoryError:
        _say(answers, event="failed", code="out_of_memory", reason="the step needs more memory than there is")
    else:
        _say(answers, event="finished", output=output.model_dump(mode="json"))


def _listen(orders: queue.Queue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _claim_stdout() -> TextIO:
    """Our own handle on stdout; whatever else prints there goes to stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, **message: Any) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
