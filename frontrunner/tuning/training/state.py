"""The state of a training on disk: everything that decides what comes after it. Written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frontrunner.files import whole_file
from frontrunner.tuning.result import CurvePoint, Ending

# Part of every file: raise it whenever older ones would be read wrongly.
_VERSION = 1


@dataclass
class Reached:
    """How far a training is.

    Attributes:
        epoch, step: that are over.
        totals: sums over the examples of the epoch in hand: loss parts, `correct`, `examples`.
        first_loss: of the first step, what divergence is measured against.
        best: the module's state with the best validation so far, or after the last epoch where there is none.
        best_value: (accuracy, minus loss) of it.
        best_epoch: after how many epochs.
        losses: of each validation example after the last epoch; empty without a validation split.
        curve: every point so far.
        seconds: wall clock of training, over all attempts.
        ended: how it ended; None while it has not.
    """

    epoch: int = 0
    step: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    first_loss: float | None = None
    best: dict[str, Tensor] | None = None
    best_value: tuple[float, float] | None = None
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    seconds: float = 0.0
    ended: Ending | None = None


@dataclass(frozen=True)
class StateFolder:
    """Where a tuning keeps what it has reached.

    Attributes:
        path: the folder.
        identity: of the tuning; state of another one is not read.
    """

    path: Path
    identity: str

    def state(self, name: str) -> StateFile:
        """The state of one training."""
        return StateFile(self.path / name, self.identity)


class StateFile:
    """Where a training keeps its state.

    Args:
        path: the file; a training that finds one goes on from it.
        identity: of the training. A file of another one is not read.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self._identity = f"{_VERSION} {identity}"

    def save(self, reached: Reached, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Write everything; an older file stays until the new one is whole."""
        stored = vars(reached) | {"curve": [point.model_dump() for point in reached.curve]}
        with whole_file(self.path) as file:
            torch.save(
                {
                    "identity": self._identity,
                    "reached": stored,
                    "module": module.state_dict(),
                    "optimiser": optimiser.state_dict(),
                },
                file,
            )

    def load(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> Reached:
        """What was saved, put into `module` and `optimiser`; the beginning where nothing was."""
        if not self.path.is_file():
            return Reached()
        stored: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        if stored["identity"] != self._identity:
            return Reached()
        module.load_state_dict(stored["module"])
        optimiser.load_state_dict(stored["optimiser"])
        reached = stored["reached"]
        reached["curve"] = [CurvePoint.model_validate(point) for point in reached["curve"]]
        return Reached(**reached)
