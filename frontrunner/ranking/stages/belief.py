"""What is believed of checkpoints once some of them were adapted for a while: predictions and measurements joined.

Both are logits of accuracies, and each counts by its errors: that of an accuracy on n held-out examples, which all have
in common, and that of a single run of training, whose seed moves it too. After the first epochs a run says more of what
another will reach than after the last one, when small differences are left: the mean of both counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
        measured: Mapping[int, float],
        noise: Floats,
        seed: int = 0,
    ) -> Belief:
        """Predictions, of which a common level is unknown, and what was measured of some.

        Args:
            expected: (m,) predicted logits.
            within: variance about them.
            measured: k logits, by place.
            noise: (k, k) covariances of their errors.
            seed: of the draws behind `first`.
        """
        m, places, values = len(expected), list(measured), np.array(list(measured.values()))
        # Covariances of everybody with those that were measured; all (m, m) of them are never needed.
        shared = np.full((m, len(places)), _UNKNOWN)
        shared[places, range(len(places))] += within
        gain = np.linalg.solve(shared[places] + noise, shared.T).T
        mean = expected + gain @ (values - expected[places])
        variance = within + _UNKNOWN - (gain * shared).sum(axis=1)
        # A draw of what was believed before, moved by what it lacks to the values that were measured (Matheron's rule).
        generator = np.random.default_rng(seed)
        drawn = expected + np.sqrt(within) * generator.normal(size=(_DRAWS, m))
        drawn += np.sqrt(_UNKNOWN) * generator.normal(size=(_DRAWS, 1))
        seen = drawn[:, places] + generator.normal(size=(_DRAWS, len(places))) @ np.linalg.cholesky(noise).T
        drawn += (values - seen) @ gain.T
        return cls(mean, np.sqrt(variance), share_of_firsts(drawn))


def measured_logit(output: VerificationOutput) -> tuple[float, float]:
    """The logit of a measured accuracy, and its variance by the choice of the examples."""
    n = output.held_out
    share = (output.accuracy.value * n + 0.5) / (n + 1)
    return float(logit(share)), 1 / (n * share * (1 - share))


class Measurements(NamedTuple):
    """Logits of accuracies by id, as after the last epochs; (k, k) covariances of their errors, in that order."""

    logits: Mapping[str, float]
    noise: Floats


def measurements(
    first: Mapping[str, VerificationOutput],
    last: Mapping[str, VerificationOutput],
    repeated: Sequence[Mapping[str, VerificationOutput]],
    examples: int,
) -> Measurements:
    """What was measured of everybody.

    From the first epochs to the last ones everybody would have gained as much, were it not for chance. Other seeds have
    other examples, so of their runs the differences count; of a small split these are the same examples in part.

    Args:
        first: after the first epochs.
        last: after the last ones, of those who came there.
        repeated: after the first epochs with other seeds, all of the same checkpoints.
        examples: of the training split.
    """
    found = {name: measured_logit(output) for name, output in first.items()}
    early = {name: value for name, (value, _) in found.items()}
    variances = np.array([variance for _, variance in found.values()])
    late = {name: measured_logit(output)[0] for name, output in last.items()}
    gained = float(np.mean([value - early[name] for name, value in late.items()]))
    logits = {name: (value + gained + late.get(name, value + gained)) / 2 for name, value in early.items()}
    noise = np.diag(OWN_SHARE * variances + RUN_ERROR**2)
    if repeated:
        again, names = 1 + len(repeated), list(repeated[0])
        own = [logits[name] for name in names]
        runs = np.array([own, *([measured_logit(each[name])[0] for name in names] for each in repeated)])
        apart = runs - runs.mean(axis=1, keepdims=True)
        logits |= dict(zip(names, (np.mean(own) + apart.mean(axis=0)).tolist(), strict=True))
        places = [list(first).index(name) for name in names]
        # Two seeds of a split of n examples have held_out / n of what they hold out in common.
        both = max(output.held_out for output in first.values()) / examples
        averaged = OWN_SHARE * variances[places] * (1 + (again - 1) * both) / again + RUN_ERROR**2 / again
        # Their mean is that of the first run still, with its error.
        of_level = float(np.mean(np.diag(noise)[places] - averaged)) / len(names)
        noise[np.ix_(places, places)] = np.diag(averaged) + of_level
    return Measurements(logits, noise + (1 - OWN_SHARE) * variances.mean())


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


def believed(within: float | None, leaders: Sequence[Leader], found: Measurements) -> dict[str, LogitBelief]:
    """What is believed once some were measured, by id.

    Without predictions only of the measured; the best is another one as probably as the ranking said.

    Args:
        within: variance of the logit of a checkpoint's accuracy about its prediction; None where none is predicted.
        leaders: everybody who is comparable.
        found: what was measured.
    """
    predicted = within is not None and all(each.expected is not None for each in leaders)
    kept = [each for each in leaders if predicted or each.checkpoint in found.logits]
    names = [each.checkpoint for each in kept]
    expected = np.array([each.expected if predicted else 0.0 for each in kept])
    variance = within if predicted and within is not None else _UNKNOWN
    place = {name: index for index, name in enumerate(names)}
    belief = Belief.of(expected, variance, {place[name]: value for name, value in found.logits.items()}, found.noise)
    share = 1.0 if predicted else sum(each.probability_best for each in leaders if each.checkpoint in found.logits)
    return {
        name: LogitBelief(float(mean), float(deviation), float(share * first))
        for name, mean, deviation, first in zip(names, belief.mean, belief.deviation, belief.first, strict=True)
    }
