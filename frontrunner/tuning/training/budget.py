"""How many epochs fit into a budget of seconds: asked once of the machine that trains, and kept with the tuning.

A training that was cut off and goes on, even on a faster machine, keeps to the number that was found first, so that it
ends in the weights of one that was not.
"""

from __future__ import annotations

import copy
import itertools
import json
import time
from dataclasses import replace

import numpy as np

from frontrunner.files import whole_file
from frontrunner.progress import Event, Progress, Stage
from frontrunner.tuning.training.loop import Schedule, TrainingData, answers, train
from frontrunner.tuning.training.method import Method
from frontrunner.tuning.training.state import StateFolder

# Steps that are timed; the first ones are slow, so the fastest counts.
_STEPS = 4


def affordable_epochs(
    method: Method,
    data: TrainingData,
    schedule: Schedule,
    budget_s: float,
    swept: int,
    folder: StateFolder,
    progress: Progress,
) -> int:
    """Epochs of the schedule that fit into the budget beside the sweep: at least one, at most the schedule's.

    The method's module is put back as it was.

    Args:
        method, data, schedule: as for `train`.
        budget_s: seconds of training and sweep.
        swept: epochs that the sweep takes.
        folder: where the number is kept.
        progress: may stop the timing after a step; it hears of nothing.
    """
    path = folder.path / "epochs.json"
    if not path.is_file():
        fit = int(budget_s / _epoch_seconds(method, data, schedule, folder, progress)) - swept
        with whole_file(path) as file:
            file.write(json.dumps(max(1, min(schedule.epochs, fit))).encode())
    epochs: int = json.loads(path.read_bytes())
    return epochs


class _StepClock:
    """Notes when each step ended; only safe points reach the progress of the whole."""

    def __init__(self, whole: Progress) -> None:
        self._whole = whole
        self.ended = [time.monotonic()]

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        self.ended.append(time.monotonic())

    def safe_point(self) -> None:
        self._whole.safe_point()

    def event(self, event: Event) -> None:
        """A timing has no curve."""


def _epoch_seconds(
    method: Method, data: TrainingData, schedule: Schedule, folder: StateFolder, progress: Progress
) -> float:
    few = data.train.take(np.arange(min(len(data.train), _STEPS * schedule.batch_size)))
    start = copy.deepcopy(method.module.state_dict())
    state = folder.state("timing.pt")
    state.path.unlink(missing_ok=True)  # of a timing that was cut off: what it had done took no time now
    clock = _StepClock(progress)
    timed = replace(schedule, epochs=1, learning_rate=1e-9)
    train(method, replace(data, train=few, validation=None), timed, state, clock)
    state.path.unlink()
    method.module.load_state_dict(start)
    step = min(after - before for before, after in itertools.pairwise(clock.ended))
    began = time.monotonic()
    answers(method, few)
    looked = time.monotonic() - began
    validated = 0 if data.validation is None else len(data.validation)
    steps = len(clock.ended) - 1
    return (step * steps * len(data.train) + looked * validated) / len(few)
