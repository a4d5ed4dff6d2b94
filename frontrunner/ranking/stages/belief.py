"""What is believed of checkpoints once some of them were adapted for a while: predictions and measurements joined.

Both are logits of accuracies, and each counts by its errors: that of an accuracy on n held-out examples, which all have
in common, and that of a single run of training, whose seed moves it too. After the first epochs a run says more of what
another will reach than after the last one, when small differences are left: the mean of both counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit, logit

from frontrunner.scores.intervals import share_of_firsts
from frontrunner.statistics import Floats
from frontrunner.tuning.verification import VerificationOutput

# Differences of what was measured are off by 0.16 in the logit from those of the ground truth, root mean square over
# the pack (`python -m benchmarks.budget.verification`). Of the variance of an accuracy on n examples so much is a
# checkpoint's own, as the examples are the same; the rest of the 0.16 is the run's.
OWN_SHARE, RUN_ERROR = 0.5, 0.1
# Variance of a logit of which nothing is known.
_UNKNOWN = 25.0
_DRAWS = 4000
# Of a 90% interval, in deviations.
_REACH = 1.645


class Leader(NamedTuple):
    """What a ranking says of a checkpoint: the probability that it is the best, and the logit that is predicted."""

    checkpoint: str
    probability_best: float
    expected: float | None


@dataclass(frozen=True)
class Belief:
    """What is believed of the logits of m checkpoints' accuracies.

    Attributes:
        mean: (m,).
        deviation: (m,) standard deviations.
        first: (m,) probability of each to be the highest.
    """

    mean: Floats
    deviation: Floats
    first: Floats

    @classmethod
    def of(
        cls,
        expected: Floats,
        within: float,
        measured: Mapping[int, tuple[float, float]],
        common: float = 0.0,
        seed: int = 0,
    ) -> Belief:
        """Predictions, of which a common level is unknown, and what was measured of some.

        Args:
            expected: (m,) predicted logits.
            within: variance about them.
            measured: logits and the variances that each has alone, by place.
            common: variance that all measurements have in common.
            seed: of the draws behind `first`.
        """
        m, places = len(expected), list(measured)
        values, noise = np.array([measured[place] for place in places]).T
        # Covariances of everybody with those that were measured; all (m, m) of them are never needed.
        shared = np.full((m, len(places)), _UNKNOWN)
        shared[places, range(len(places))] += within
        gain = np.linalg.solve(shared[places] + np.diag(noise) + common, shared.T).T
        mean = expected + gain @ (values - expected[places])
        variance = within + _UNKNOWN - (gain * shared).sum(axis=1)
        # A draw of what was believed before, moved by what it lacks to the values that were measured (Matheron's rule).
        generator = np.random.default_rng(seed)
        drawn = expected + np.sqrt(within) * generator.normal(size=(_DRAWS, m))
        drawn += np.sqrt(_UNKNOWN) * generator.normal(size=(_DRAWS, 1))
        seen = drawn[:, places] + np.sqrt(noise) * generator.normal(size=(_DRAWS, len(places)))
        seen += np.sqrt(common) * generator.normal(size=(_DRAWS, 1))
        drawn += (values - seen) @ gain.T
        return cls(mean, np.sqrt(variance), share_of_firsts(drawn))


def measured_logit(output: VerificationOutput) -> tuple[float, float]:
    """The logit of a measured accuracy, and its variance by the choice of the examples."""
    n = output.held_out
    share = (output.accuracy.value * n + 0.5) / (n + 1)
    return float(logit(share)), 1 / (n * share * (1 - share))


class Measured(NamedTuple):
    """The logit of an accuracy, the variance that it has alone, and the one that all which were measured have."""

    logit: float
    own: float
    common: float

    @classmethod
    def of(cls, logits: Sequence[float], variance: float, shared: float) -> Self:
        """The mean of one or more runs.

        Args:
            logits: by run, at the level of the first one.
            variance: of a run's logit by the choice of the examples.
            shared: of these, the share that two runs have in common.
        """
        runs = len(logits)
        examples = OWN_SHARE * variance * (1 + (runs - 1) * shared) / runs
        return cls(float(np.mean(logits)), examples + RUN_ERROR**2 / runs, (1 - OWN_SHARE) * variance)


class MeasuredRun(NamedTuple):
    """What checkpoints reached in one run: after the first epochs, and after the last ones those who came there."""

    first: Mapping[str, VerificationOutput]
    last: Mapping[str, VerificationOutput]

    def logits(self) -> dict[str, float]:
        """By id, as after the last epochs.

        From the first epochs to the last ones everybody would have gained as much, were it not for chance: the mean of
        both counts.
        """
        before, after = (
            {name: measured_logit(output)[0] for name, output in each.items()} for each in (self.first, self.last)
        )
        gained = float(np.mean([value - before[name] for name, value in after.items()]))
        return {name: (value + gained + after.get(name, value + gained)) / 2 for name, value in before.items()}


def measurements(runs: Sequence[MeasuredRun], examples: int) -> dict[str, Measured]:
    """What was measured of everybody in the first run.

    Other seeds hold other examples out, so of their runs the differences count; of a small split these are the same
    examples in part.

    Args:
        runs: the first one, and those with other seeds.
        examples: of the training split.
    """
    level = runs[0].logits()
    logits = {name: [value] for name, value in level.items()}
    for run in runs[1:]:
        found = run.logits()
        moved = float(np.mean([level[name] - value for name, value in found.items()]))
        for name, value in found.items():
            logits[name].append(value + moved)
    of_first = {name: measured_logit(output)[1] for name, output in runs[0].first.items()}
    shared = max(output.held_out for output in runs[0].first.values()) / examples
    return {name: Measured.of(each, of_first[name], shared) for name, each in logits.items()}


class LogitBelief(NamedTuple):
    """What is believed of the logit of a checkpoint's accuracy, and the probability that it is the best."""

    mean: float
    deviation: float
    probability_best: float

    @property
    def accuracy(self) -> tuple[float, float, float]:
        """The 90% interval's low end, the middle, and its high end."""
        low, middle, high = expit(self.mean + np.array([-_REACH, 0.0, _REACH]) * self.deviation).tolist()
        return low, middle, high


def believed(within: float | None, leaders: Sequence[Leader], found: Mapping[str, Measured]) -> dict[str, LogitBelief]:
    """What is believed once some were measured, by id.

    Without predictions only of the measured; the best is another one as probably as the ranking said.

    Args:
        within: variance of the logit of a checkpoint's accuracy about its prediction; None where none is predicted.
        leaders: everybody who is comparable.
        found: what was measured, by id.
    """
    predicted = within is not None and all(each.expected is not None for each in leaders)
    kept = [each for each in leaders if predicted or each.checkpoint in found]
    names = [each.checkpoint for each in kept]
    expected = np.array([each.expected if predicted else 0.0 for each in kept])
    variance = within if predicted and within is not None else _UNKNOWN
    place = {name: index for index, name in enumerate(names)}
    alone = {place[name]: (each.logit, each.own) for name, each in found.items()}
    common = float(np.mean([each.common for each in found.values()]))
    belief = Belief.of(expected, variance, alone, common)
    share = 1.0 if predicted else sum(each.probability_best for each in leaders if each.checkpoint in found)
    return {
        name: LogitBelief(float(mean), float(deviation), float(share * first))
        for name, mean, deviation, first in zip(names, belief.mean, belief.deviation, belief.first, strict=True)
    }
