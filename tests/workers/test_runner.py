"""What a runner answers for whatever a step raises."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch

from benchmarks.service.servers import wait_until
from frontrunner import errors
from frontrunner.progress import SILENT
from workers import stepping
from workers.places import Places
from workers.reporting import StopWork
from workers.runner import _SAID_A_SECOND
from workers.runner_protocol import Grant, StartStep, line_of


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
        (PermissionError(13, "Permission denied"), "lost", "file_refused"),
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


# A runner whose other half is in a stranger's hands: what that one does is the second argument.
_RUNNER = """
import sys
from workers import runner

runner.module_command = lambda module, places, fd: [sys.executable, "-c", sys.argv[2], fd]
runner.Runner(sys.argv[1], sys.stdout).run()
"""
_OTHER = """
import json, socket, sys, time
from workers.runner_protocol import *
other = socket.socket(fileno=int(sys.argv[1]))
told = other.makefile()
say = lambda message: other.sendall(line_of(message).encode())
"""


@contextmanager
def runner_with(tmp_path, other):
    """A runner, and what its other half does."""
    command = [sys.executable, "-c", _RUNNER, Places(tmp_path).to_json(), _OTHER + other]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        try:
            yield runner
        finally:
            runner.kill()


@pytest.mark.parametrize(
    "said",
    [
        "b'nonsense\\n'",
        "b'x' * (MAX_SAID_CHARACTERS + 1)  # and no end of the line",
        "line_of(Noted(type='curve', data={'a': 'x' * MAX_SAID_CHARACTERS})).encode()",
        "line_of(Lost(code='lost', reason='x' * MAX_SAID_CHARACTERS)).encode()",
        "line_of(Advanced.model_construct(stage='read', done=-1, total=1, of='')).encode()",
        "line_of(Advanced.model_construct(stage='read', done=1, total=2**60, of='')).encode()",
        "line_of(Failed.model_construct(code='a b', reason='')).encode()",
        "line_of(Noted.model_construct(type='x' * 30, data={})).encode()",
    ],
)
def test_a_runner_whose_other_half_makes_no_sense_ends(tmp_path, said):
    """And what is a line is not handed on."""
    other = f"other.sendall({said})\nother.shutdown(socket.SHUT_WR)\ntime.sleep(600)"
    with runner_with(tmp_path, other) as runner:
        assert runner.wait(120) != 0
        assert runner.stdout.read() == ""


def test_what_is_said_between_steps_answers_none(tmp_path):
    """One step's answer could be another checkpoint's otherwise, said before that one was opened."""
    other = f"""
from pathlib import Path
for number in range(2):
    told.readline()
    say(Finished(output=str(number)))
    say(Finished(output="once more"))
    say(Asked(what="read", name="x"))
    told.readline()  # what was said before is over with
    Path({str(tmp_path)!r}, str(number)).touch()
time.sleep(600)
"""
    step = line_of(
        StartStep(kind="ranking", payload="{}", grant=Grant(), context={}, log_level="INFO", log_as_json=True)
    )
    with runner_with(tmp_path, other) as runner:
        for number in range(2):
            runner.stdin.write(step)
            runner.stdin.flush()
            assert json.loads(runner.stdout.readline())["output"] == str(number)
            wait_until((tmp_path / str(number)).exists, 120, "the answer to what it asked")


def test_who_says_more_than_there_is_to_say_waits(tmp_path):
    other = """
told.readline()
while True:
    say(Advanced(stage="read", done=1, total=2, of="a"))
"""
    step = line_of(
        StartStep(kind="ranking", payload="{}", grant=Grant(), context={}, log_level="INFO", log_as_json=True)
    )
    with runner_with(tmp_path, other) as runner:
        runner.stdin.write(step)
        runner.stdin.flush()
        runner.stdout.readline()
        began, heard = time.monotonic(), 0
        while time.monotonic() - began < 2:
            runner.stdout.readline()
            heard += 1
        assert heard <= _SAID_A_SECOND * (time.monotonic() - began + 2)
