"""What a runner answers for whatever a step raises."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from frontrunner import errors
from frontrunner.progress import SILENT
from workers import stepping
from workers.places import Places
from workers.reporting import StopWork


class PanicException(BaseException):
    """Named as what libraries written in Rust raise."""


def answers_to(monkeypatch, error):
    """What a step that raises `error` ends in, as a line says it."""

    def fail(*_arguments):
        raise error

    monkeypatch.setattr(stepping, "run_payload", fail)
    return stepping.ending_of("ranking", "{}", SILENT).model_dump()


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        (KeyError("x"), "lost", "internal_error"),
        (SystemExit(1), "lost", "internal_error"),
        (PanicException("bounds"), "lost", "internal_error"),
        (OSError(28, "No space left on device"), "lost", "disk_full"),
        (OSError("3 requested and 1 written"), "lost", "disk_full"),
        (MemoryError(), "failed", "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "failed", "out_of_memory"),
        (errors.CheckpointUnreadable("no"), "failed", "checkpoint_unreadable"),
        (StopWork(), "stopped", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_a_step_that_raises_is_answered_with_a_code(monkeypatch, error, says, code):
    answer = answers_to(monkeypatch, error)
    assert (answer["says"], answer.get("code")) == (says, code)


def test_what_nobody_expected_is_called_our_fault(monkeypatch):
    assert "defect of Frontrunner" in answers_to(monkeypatch, ZeroDivisionError("x"))["reason"]


# The other half says what is no message, and then nothing, without an end.
_NONSENSE = """
import sys
from workers import runner

other = "import socket, time; socket.socket(fileno={}).sendall(b'nonsense\\n'); time.sleep(600)"
runner.module_command = lambda module, places, fd: [sys.executable, "-c", other.format(fd)]
runner.Runner(sys.argv[1], sys.stdout).run()
"""


def test_a_runner_whose_other_half_makes_no_sense_ends(tmp_path):
    command = [sys.executable, "-c", _NONSENSE, Places(tmp_path).to_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as runner:
        try:
            assert runner.wait(60) != 0
        finally:
            runner.kill()
