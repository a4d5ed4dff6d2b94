"""The runner: the process that does the heavy work of steps, in two halves.

This half keeps the network, the store and the credentials, and parses nothing that a stranger made but what hubs answer
and the headers of weights. The other half, `workers.confined`, opens checkpoints and datasets and runs them; it has
neither network nor files beyond those of its steps, and asks here for the rest, see `workers.granting`.

Instructions come on stdin - a step, or the wish that it stop at the next safe point - and answers go to stdout, a line
each; `workers.runner_protocol` lists both. Neither half holds database credentials, and both die at once when stdin
closes, so no runner outlives its supervisor.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from pydantic import BaseModel

from frontrunner.processes import NICE, module_command
from workers.places import Places
from workers.reporting import ReportedProgress
from workers.runner_protocol import (
    MAX_OUTPUT_CHARACTERS,
    Advanced,
    Asked,
    Credentials,
    Grant,
    Noted,
    StartStep,
    StopStep,
    line_of,
    read_instruction,
    read_said,
)

if TYPE_CHECKING:
    from workers.granting import Granting

_PR_SET_DUMPABLE = 4
# As a string in JSON, whose quotes take another character each. What is longer is no answer.
_LONGEST_LINE = 2 * MAX_OUTPUT_CHARACTERS
# What the other half may say in a second; beyond it, it waits: work says a few things.
_SAID_A_SECOND = 500
_END_S = 5.0


class Pace:
    """Lets so many pass in a second, and the next one at its end."""

    def __init__(self, a_second: int) -> None:
        self._a_second = a_second
        self._second = 0.0
        self._passed = 0

    def wait(self) -> None:
        """Let one pass."""
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._passed = now, 0
        elif self._passed >= self._a_second:
            time.sleep(self._second + 1 - now)
            self._second, self._passed = time.monotonic(), 0
        self._passed += 1


class Runner:
    """Hands lines from the supervisor to the confined half and back, and answers what that one asks for.

    Between steps nothing is granted, and what the other half says is not handed on: it cannot answer a step that it
    was not told yet.

    Args:
        places: of this runner, as JSON.
        answers: the supervisor hears them.
    """

    def __init__(self, places: str, answers: TextIO) -> None:
        self._places = Places.of_json(places)
        self._answers = answers
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._grant: Grant | None = None
        self._pace = Pace(_SAID_A_SECOND)
        self._granting: Granting | None = None
        ours, theirs = socket.socketpair()
        self._child = subprocess.Popen(
            module_command("workers.confined", places, str(theirs.fileno())),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            pass_fds=[theirs.fileno()],
            env=os.environ | {"TMPDIR": str(self._places.scratch), "HF_HUB_OFFLINE": "1"},
        )
        theirs.close()
        self._heard = ours.makefile("r", encoding="utf-8", errors="replace")
        self._told = ours.makefile("w", encoding="utf-8")

    def run(self) -> None:
        """Until stdin closes or the other half ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        for line in sys.stdin:
            instruction = read_instruction(line)
            if isinstance(instruction, Credentials):
                os.environ.update(instruction.environment)
                continue
            if isinstance(instruction, StartStep):
                self._grant = instruction.grant
            elif isinstance(instruction, StopStep):
                self._stopping.set()
            self._tell(instruction)
        self._child.kill()  # it hangs up by itself, unless a stranger is at work there
        os._exit(0)

    def _listen(self) -> None:
        try:
            while (line := self._heard.readline(_LONGEST_LINE)).endswith("\n"):
                self._pace.wait()
                said = read_said(line)
                if isinstance(said, Asked):
                    self._tell(self._granter().answer(said, self._grant or Grant()))
                elif self._grant is not None:
                    if not isinstance(said, (Advanced, Noted)):
                        self._grant = None
                    self._say(said)
        finally:  # however it hung up, and whatever it said: the supervisor must hear of it
            self._end_as_the_other()

    def _granter(self) -> Granting:
        if self._granting is None:
            from frontrunner.settings import get_settings
            from workers.granting import Granting

            # The credentials came before the first step.
            progress = ReportedProgress(self._say, self._stopping)
            self._granting = Granting(get_settings(), self._places, progress)
        return self._granting

    def _tell(self, message: BaseModel) -> None:
        with self._lock:
            try:
                self._told.write(line_of(message))
                self._told.flush()
            except OSError:  # its end is noticed where it is listened to
                return

    def _say(self, message: BaseModel) -> None:
        self._answers.write(line_of(message))
        self._answers.flush()

    def _end_as_the_other(self) -> None:
        """With the other half's status, or by the signal that ended it."""
        try:
            status = self._child.wait(_END_S)
        except subprocess.TimeoutExpired:  # it hung up and goes on
            self._child.kill()
            status = self._child.wait()
        if status < 0:
            os.kill(os.getpid(), -status)
        os._exit(abs(status) or 1)  # of the few signals that Python does not die of, and where it made an end itself


def main() -> None:
    """Do steps until stdin closes."""
    os.nice(NICE)
    # A core would hold the keys of the store and what others uploaded; nor may the other half look into this one.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    answers = _claim_stdout()
    Runner(sys.argv[1], answers).run()


def _claim_stdout() -> TextIO:
    """Our own handle on stdout; whatever else prints there goes to stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
