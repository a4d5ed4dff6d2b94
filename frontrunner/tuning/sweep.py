"""Finding a learning rate: one epoch with each of a few, all from the same start, and the best validation wins.

The rate stays at its height: annealed to zero within the epoch, a rate looks good that ruins a longer training.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from frontrunner.errors import TuningDiverged
from frontrunner.files import whole_file
from frontrunner.tuning.loop import Listener, Optimiser, Plan, TrainingData, train
from frontrunner.tuning.method import Method
from frontrunner.tuning.state import StateFile

# Of the backbone; heads learn at ten times these. Half a decade apart: neighbours differ by less than seeds do.
RATES: dict[Optimiser, tuple[float, ...]] = {
    "sgd": (0.0003, 0.001, 0.003),
    "adamw": (0.00003, 0.0001, 0.0003, 0.001),
}


def sweep(
    method: Method,
    data: TrainingData,
    plan: Plan,
    folder: Path,
    identity: str,
    listener_of: Callable[[int], Listener],
) -> dict[str, float | None]:
    """Loss after one epoch for each rate, on the validation split or else on the training split; None if it diverged.

    The method's module is put back as it was. What was found is kept in `folder`, a rate at a time.

    Args:
        method, data, plan: as for `train`; the plan's rate and epochs are not looked at.
        folder: of the results.
        identity: of the tuning.
        listener_of: who hears of the i-th rate.

    Raises:
        TuningDiverged: with every rate.
    """
    path = folder / "sweep.json"
    found: dict[str, float | None] = json.loads(path.read_bytes()) if path.is_file() else {}
    start = copy.deepcopy(method.module.state_dict())
    for place, rate in enumerate(RATES[plan.optimiser]):
        name = f"{rate:g}"
        if name in found:
            continue
        short = replace(plan, epochs=1, learning_rate=rate, anneal=False, stage=f"sweep {name}")
        state = StateFile(folder / f"sweep-{name}.pt", identity)
        try:
            reached = train(method, data, short, state, listener_of(place))
            found[name] = sum(reached.curve[-1].loss.values())
        except TuningDiverged:
            found[name] = None
        method.module.load_state_dict(start)
        with whole_file(path) as file:
            file.write(json.dumps(found).encode())
        state.path.unlink(missing_ok=True)
    if all(loss is None for loss in found.values()):
        raise TuningDiverged(f"the loss diverged at every learning rate of {', '.join(found)}; name a lower one")
    return found


def best_rate(found: dict[str, float | None]) -> float:
    """The rate of the lowest loss.

    Example:
        >>> best_rate({"0.01": 0.7, "0.03": 0.5, "0.1": None})
        0.03
    """
    return float(min((name for name, loss in found.items() if loss is not None), key=lambda name: found[name] or 0.0))
