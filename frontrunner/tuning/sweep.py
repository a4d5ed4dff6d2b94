"""Finding a learning rate: a short trial of each of a few, all from the same start, and the best validation wins.

The rate stays at its height: annealed to zero within the trial, a rate looks good that ruins a longer training.
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
# Of a trial, at least: after a dozen, what learns slowly is still at chance at every rate, and the lowest looks best.
STEPS = 20


def trial(plan: Plan, examples: int) -> Plan:
    """The plan of one rate's trial: as few whole epochs as make up `STEPS` steps, and no more than are trained.

    Example:
        >>> trial(Plan(epochs=5, batch_size=32, micro_batch=32, learning_rate=0.0, patience=5, seed=0), 340).epochs
        2
    """
    steps = -(-examples // plan.batch_size)
    return replace(plan, epochs=min(plan.epochs, -(-STEPS // steps)), anneal=False)


def sweep(
    method: Method,
    data: TrainingData,
    plan: Plan,
    folder: Path,
    identity: str,
    listener_of: Callable[[int], Listener],
) -> dict[str, float | None]:
    """Loss after each rate's trial, on the validation split or else on the training split; None if it diverged.

    The method's module is put back as it was. What was found is kept in `folder`, a rate at a time.

    Args:
        method, data: as for `train`.
        plan: of a trial; its rate is not looked at.
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
        state = StateFile(folder / f"sweep-{name}.pt", identity)
        try:
            named = replace(plan, learning_rate=rate, stage=f"sweep {name}")
            reached = train(method, data, named, state, listener_of(place))
            found[name] = None if reached.ended == "diverged" else sum(reached.curve[-1].loss.values())
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
