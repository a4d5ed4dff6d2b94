"""What reading costs, in a budget's unit: known from earlier rankings, expected from sizes, or learnt on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from frontrunner.hub import CheckpointDescription
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.request import StepOutput
from frontrunner.tuning.verification import VerificationOutput

# A forward pass on one thread, where nobody has measured it: weights times the positions that each is used at. Over the
# pack's thirteen convolutional networks, log latency follows its log with a correlation of 0.97.
_MS_PER_BILLION = 20.0
_LEAST_MS = 0.5
_PIXELS_A_POSITION = 16**2
_TOKENS = 32
# Precomputed features are copied.
_FEATURES_MS = 0.001
# A pass of training over one of reading, until some training was timed: reading uses what is fastest on a machine.
_TRAINING_PACE = 2.0
# Opening a checkpoint, and the scores of a small sample, where nothing was measured yet.
_OPENING_S = 1.0


class Prices:
    """What is charged, and what is expected to be.

    Shares and examples are charged by what is asked for, cached or not, so that the same request ends the same way
    whatever the speed of the machine and however often it was interrupted. Seconds are charged as they were measured.

    Args:
        budget: gives the unit.
        candidates: everything that a full ranking would read.
        whole: examples that a full ranking would read with each.
        gone: seconds that went by before the first step, such as for finding checkpoints.

    Attributes:
        limit: the budget, in its unit.
        spent: of it, so far.
        reserved: of it, for adapting those who are left at the end.
    """

    def __init__(
        self, budget: Budget, candidates: Sequence[CheckpointDescription], whole: int, gone: float = 0.0
    ) -> None:
        self.budget = budget
        self.spent = gone if budget.unit == "seconds" else 0.0
        self.reserved = 0.0
        self.limit = budget.amount
        self._ms = milliseconds(candidates)
        self._whole = whole
        self._full_ms = sum(self._ms.values()) * whole
        self._known: dict[str, float] = {}
        self._observed: list[tuple[float, float]] = []
        self._scored: dict[str, tuple[int, float]] = {}
        self._slower, self._opening_s, self._pace = 1.0, _OPENING_S, 1.0
        self._trained: list[float] = []

    @property
    def left(self) -> float:
        """Of the budget, what is reserved not counted."""
        return max(0.0, self.limit - self.spent - self.reserved)

    @property
    def is_measured(self) -> bool:
        """Whether expectations rest on more than sizes; those of examples and shares need nothing else."""
        return self.budget.unit != "seconds" or bool(self._observed)

    def expected(self, checkpoint: str, before: int, after: int) -> float:
        """Of a sample of `after` examples, of which `before` were read earlier; scores are those of all of them."""
        if self.budget.unit == "examples":
            return float(after - before)
        if self.budget.unit == "share":
            return self._ms[checkpoint] * (after - before) / self._full_ms
        return (
            self._opening_s
            + self._pace * self._passes_s(checkpoint, after - before)
            + self._scores_s(checkpoint, after)
        )

    def _passes_s(self, checkpoint: str, passes: int) -> float:
        return self._known.get(checkpoint, self._ms[checkpoint] * self._slower) * passes / 1000

    def _scores_s(self, checkpoint: str, examples: int) -> float:
        """In proportion to the examples, from what they took last, of this checkpoint or of the others."""
        if not self._scored:
            return 0.0
        own = self._scored.get(checkpoint)
        last = [own] if own is not None else list(self._scored.values())
        return float(np.median([seconds * max(1.0, examples / known) for known, seconds in last]))

    @property
    def full(self) -> float | None:
        """Of reading everything with every checkpoint; None for seconds before the first measurement."""
        return sum(self.expected(name, 0, self._whole) for name in self._ms) if self.is_measured else None

    def charge(self, checkpoint: str, before: int, after: int, output: StepOutput | None) -> None:
        """Of having read so many examples beyond those before; None for a step that failed, whose time is not known."""
        if self.budget.unit != "seconds":
            self.spent += self.expected(checkpoint, before, after)
        elif output is not None:
            self.spent += output.seconds
            if output.reading_cost is not None:
                self._known[checkpoint] = output.reading_cost.latency_ms
            if output.forward_examples:
                ms = self._known.get(checkpoint, self._ms[checkpoint])
                read_s = output.seconds - output.scoring_seconds
                self._observed.append((ms * output.forward_examples / 1000, read_s))
                self._scored[checkpoint] = after, output.scoring_seconds
            self._fit()

    def training(self, checkpoint: str, passes: int) -> float:
        """Expected of adapting a checkpoint, from the forward passes that it comes to."""
        if self.budget.unit != "seconds":
            return self.expected(checkpoint, 0, passes)
        pace = float(np.median(self._trained)) if self._trained else _TRAINING_PACE
        return self._opening_s + pace * self._passes_s(checkpoint, passes)

    def charge_training(self, checkpoint: str, passes: int, output: VerificationOutput | None) -> float:
        """Charge having adapted a checkpoint; None for a step that failed. Returns what was charged."""
        before = self.spent
        if self.budget.unit != "seconds":
            self.spent += self.expected(checkpoint, 0, passes)
        elif output is not None:
            self.spent += output.seconds
            self._trained.append(output.seconds / self._passes_s(checkpoint, passes))
        return self.spent - before

    def _fit(self) -> None:
        """How much slower passes are than expected, what a step takes beside them, and what they take in it."""
        if self._known:
            self._slower = float(np.median([ms / self._ms[checkpoint] for checkpoint, ms in self._known.items()]))
        if len(self._observed) > 1:
            passes, seconds = np.array(self._observed).T
            (opening, pace), _ = nnls(np.stack([np.ones_like(passes), passes], axis=1), seconds)
            self._opening_s, self._pace = float(opening), float(pace)


def milliseconds(candidates: Sequence[CheckpointDescription]) -> dict[str, float]:
    """An example's forward pass by checkpoint id: as measured on the device that knows most of them, else by size.

    Example:
        >>> from frontrunner.hub import ReadingCost
        >>> known = {"architecture": "a", "library": "timm", "modality": "image", "input_size": 224}
        >>> one, other = (
        ...     CheckpointDescription.model_construct(id=name, parameters=size, costs=(), **known)
        ...     for name, size in (("a", 5_000_000), ("b", 10_000_000))
        ... )
        >>> expected = milliseconds([one, other])
        >>> expected["a"] < expected["b"] < 2 * expected["a"]
        True
        >>> measured = one.model_copy(update={"costs": (ReadingCost(device="gpu", latency_ms=0.1, memory_mb=1.0),)})
        >>> round(milliseconds([measured, other])["b"], 2)  # as much faster as the other one is
        0.2
    """
    devices = Counter(cost.device for candidate in candidates for cost in candidate.costs)
    device = min(devices, key=lambda name: (-devices[name], name), default=None)
    by_size = {candidate.id: _by_size(candidate) for candidate in candidates}
    measured = {
        candidate.id: cost.latency_ms
        for candidate in candidates
        for cost in candidate.costs
        if cost.device == device and cost.latency_ms > 0
    }
    ratio = float(np.median([ms / by_size[name] for name, ms in measured.items()])) if measured else 1.0
    return {name: ratio * ms for name, ms in by_size.items()} | measured


def _by_size(candidate: CheckpointDescription) -> float:
    if candidate.modality == "features":
        return _FEATURES_MS
    pixels = (candidate.input_size or 224) ** 2
    positions = pixels / _PIXELS_A_POSITION if candidate.modality == "image" else _TOKENS
    return _LEAST_MS + _MS_PER_BILLION * candidate.parameters * positions / 1e9
