"""Finding a learning rate: a short trial of each of a few, all from the same start, and the highest good one wins.

The rate stays at its height: annealed to zero within the trial, a rate looks good that ruins a longer training. So a
trial underrates high rates, whose noise the training's own annealing will take away: of the rates whose losses do not
differ beyond chance, the highest is taken. docs/tuning.md says what this was tried on.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from frontrunner.errors import TuningDiverged
from frontrunner.files import whole_file
from frontrunner.progress import SILENT, Part, Progress, Stage
from frontrunner.tuning.options import RATES, trial_epochs
from frontrunner.tuning.training.loop import Schedule, TrainingData, train
from frontrunner.tuning.training.method import Method
from frontrunner.tuning.training.state import StateFolder

# Standard errors within which losses count as equal.
_ERRORS = 1.0  # the one-standard-error rule of Breiman et al., 1984
# Of fewer losses the standard error is itself too uncertain: the lowest is taken.
_FEWEST = 30


def trial(schedule: Schedule, examples: int) -> Schedule:
    """The schedule of one rate's trial: as few whole epochs as make up enough steps, and no more than are trained.

    Example:
        >>> trial(Schedule(epochs=5, batch_size=32, micro_batch=32, learning_rate=0.0, patience=5, seed=0), 340).epochs
        2
    """
    epochs = min(schedule.epochs, trial_epochs(examples, schedule.batch_size))
    return replace(schedule, epochs=epochs, anneal=False, pause_after=None)


def sweep(
    method: Method,
    data: TrainingData,
    schedule: Schedule,
    folder: StateFolder,
    progress: Progress = SILENT,
    *,
    rates: Sequence[float] = (),
) -> dict[str, list[float] | None]:
    """Losses after each rate's trial, one for each validation example; None if it diverged.

    Without a validation split it is one loss, the training split's. The method's module is put back as it was. What was
    found is kept in `folder`, a rate at a time.

    Args:
        method, data: as for `train`.
        schedule: of a trial; its rate is not looked at.
        folder: of the results.
        progress: hears how many examples were trained on, over all trials.
        rates: that are tried; the usual ones of the schedule's optimiser where none are named.

    Raises:
        TuningDiverged: with every rate.
    """
    path, rates = folder.path / "trials.json", rates or RATES[schedule.optimiser]
    each = schedule.epochs * len(data.train)
    found: dict[str, list[float] | None] = json.loads(path.read_bytes()) if path.is_file() else {}
    start = copy.deepcopy(method.module.state_dict())
    for place, rate in enumerate(rates):
        name = f"{rate:g}"
        if name in found:
            continue
        state = folder.state(f"sweep-{name}.pt")
        try:
            named = replace(schedule, learning_rate=rate, stage=f"sweep {name}")
            part = Part(progress, Stage.TRAIN, before=place * each, total=len(rates) * each)
            reached = train(method, data, named, state, part)
            losses = reached.losses or [sum(reached.curve[-1].loss.values())]
            found[name] = None if reached.ended == "diverged" else losses
        except TuningDiverged:
            found[name] = None
        method.module.load_state_dict(start)
        with whole_file(path) as file:
            file.write(json.dumps(found).encode())
        state.path.unlink(missing_ok=True)
    if all(losses is None for losses in found.values()):
        raise TuningDiverged(f"the loss diverged at every learning rate of {', '.join(found)}; name a lower one")
    return found


def best_rate(found: dict[str, list[float] | None]) -> float:
    """The highest rate whose mean loss is at most one standard error above the lowest one.

    The errors are those of paired differences: rates are compared on the same examples.

    Example:
        >>> few, many = [0.4, 0.6], [0.4, 0.6] * 20
        >>> best_rate({"0.001": many, "0.003": [loss + 0.01 for loss in reversed(many)], "0.01": None})
        0.003
        >>> best_rate({"0.001": few, "0.003": [loss + 0.01 for loss in reversed(few)], "0.01": None})
        0.001
    """
    losses = {float(name): np.array(values) for name, values in found.items() if values is not None}
    lowest = losses[min(losses, key=lambda rate: float(losses[rate].mean()))]
    return max(rate for rate, values in losses.items() if _is_as_good(values - lowest))


def _is_as_good(differences: NDArray[np.float64]) -> bool:
    n = len(differences)
    error = differences.std(ddof=1) / n**0.5 if n >= _FEWEST else 0.0
    return bool(differences.mean() <= _ERRORS * error)
