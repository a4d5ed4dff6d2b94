"""Steps one after the other, in the confined half of a runner: what was told comes in, what came of it goes out."""

from __future__ import annotations

import os
import queue
import socket
import threading

import structlog
from pydantic import BaseModel

from frontrunner.errors import DiskFull, FileRefused, InternalError, StoreUnavailable
from frontrunner.failures import is_failure, refusal_of
from frontrunner.logs import configure_logs
from frontrunner.outside import ask_outside
from frontrunner.progress import Progress
from jobs.work import run_payload
from workers.asking import Asking
from workers.places import Places
from workers.reporting import ReportedProgress, StopWork
from workers.runner_protocol import (
    Answered,
    Ending,
    Failed,
    Finished,
    Lost,
    StartStep,
    Stopped,
    StopStep,
    line_of,
    read_inner,
)

_log = structlog.get_logger("frontrunner.runner")


def do_steps(connection: socket.socket, places: Places) -> None:
    """Do the steps that the other half tells, until it hangs up.

    Args:
        connection: to it.
        places: of this runner.
    """
    told = connection.makefile("w", encoding="utf-8")
    lock = threading.Lock()

    def say(message: BaseModel) -> None:
        with lock:
            told.write(line_of(message))
            told.flush()

    asking = Asking(say, places)
    ask_outside(asking)
    steps: queue.Queue[StartStep] = queue.Queue()
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(connection, steps, stopping, asking), daemon=True).start()
    while True:
        step = steps.get()
        asking.grant = step.grant
        configure_logs(step.log_level, as_json=step.log_as_json)
        with structlog.contextvars.bound_contextvars(**step.context):
            say(ending_of(step.kind, step.payload, ReportedProgress(say, stopping)))


def ending_of(kind: str, payload: str, progress: Progress) -> Ending:
    """Do a step; how it ended."""
    _log.info("step_begun", kind=kind)
    try:
        output = run_payload(kind, payload, progress)
    except StopWork:
        return Stopped()
    except BaseException as error:
        if not is_failure(error):
            raise
        refusal = refusal_of(error, "this step")
        # What is not the input's fault may go better another time.
        ending = Lost if isinstance(refusal, (InternalError, DiskFull, FileRefused, StoreUnavailable)) else Failed
        _log.warning("step_refused", kind=kind, code=refusal.code)
        return ending(code=refusal.code, reason=refusal.reason)
    _log.info("step_done", kind=kind)
    return Finished(output=output)


def _listen(
    connection: socket.socket, steps: queue.Queue[StartStep], stopping: threading.Event, asking: Asking
) -> None:
    for line in connection.makefile("r", encoding="utf-8"):
        told = read_inner(line)
        if isinstance(told, Answered):
            asking.answers.put(told)
        elif isinstance(told, StopStep):
            stopping.set()
        else:
            steps.put(told)
    os._exit(0)
