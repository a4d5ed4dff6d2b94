"""What a runner answers for whatever a step raises."""

from __future__ import annotations

import pytest
import torch

from frontrunner import errors
from frontrunner.progress import SILENT
from workers import stepping
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
