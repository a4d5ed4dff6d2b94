"""The last stage of a ranking: the few that could be the best are adapted for a short while, and measured. Pure.

Who is verified, for how long, and what is believed then is worked out anew from the results so far, each time, as a
race is. What was measured joins what was predicted by their errors: of an accuracy on n held-out examples, and of a
single run of training, whose seed moves it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from frontrunner.hub import SkippedCheckpoint
from frontrunner.ranking.stages.prices import Prices
from frontrunner.ranking.stages.report import Departure, StageReport, VerificationReport
from frontrunner.scores.intervals import share_of_firsts
from frontrunner.statistics import Floats
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.verification import EPOCHS, VerificationOutput, passes

# More are as good as never the best, and each costs as much as the first.
MOST = 3
# Of three, two go on after so many epochs.
_FIRST_EPOCHS, _GO_ON = 2, 2
# Where nobody asked for a number, those are verified that together are the best with this probability.
ENOUGH = 0.95
# Standard deviation of the logit of one run's accuracy about the mean of runs: root mean square over the pack, where
# every checkpoint was adapted with two seeds (benchmarks/ranking_quality/truth.csv).
RUN_ERROR = 0.3
# Variance of a logit of which nothing is known.
_UNKNOWN = 25.0
_DRAWS = 4000


class Trial(NamedTuple):
    """A step: a checkpoint is adapted until so many epochs are over; those before are not trained again."""

    checkpoint: str
    epochs: int


@dataclass(frozen=True)
class VerificationTerms:
    """What is settled before the first step.

    Attributes:
        most: checkpoints to verify, at most.
        method: that adapts them.
        modality: what they read.
        examples: of the training split.
        within: variance of the logit of a checkpoint's accuracy about its prediction; None where none is predicted.
        tunable: ids of those that can be adapted.
        enough: those are verified, the most probable first, that together are the best with this probability.
        unsuited: why none can be; None where some can.
    """

    most: int
    method: MethodOptions
    modality: str
    examples: int
    within: float | None
    tunable: frozenset[str]
    enough: float = ENOUGH
    unsuited: str | None = None

    def passes(self, before: int, after: int) -> int:
        """Examples that go through a checkpoint between two epochs."""
        return passes(self.method, self.modality, self.examples, before, after)


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
    def of(cls, expected: Floats, within: float, measured: Mapping[int, tuple[float, float]], seed: int = 0) -> Belief:
        """Predictions, of which a common level is unknown, and what was measured of some.

        Args:
            expected: (m,) predicted logits.
            within: variance about them.
            measured: logits and their variances, by place.
            seed: of the draws behind `first`.
        """
        m, places = len(expected), list(measured)
        values, noise = np.array([measured[place] for place in places]).T
        # Covariances of everybody with those that were measured; all (m, m) of them are never needed.
        shared = np.full((m, len(places)), _UNKNOWN)
        shared[places, range(len(places))] += within
        gain = np.linalg.solve(shared[places] + np.diag(noise), shared.T).T
        mean = expected + gain @ (values - expected[places])
        variance = within + _UNKNOWN - (gain * shared).sum(axis=1)
        # A draw of what was believed before, moved by what it lacks to the values that were measured (Matheron's rule).
        generator = np.random.default_rng(seed)
        drawn = expected + np.sqrt(within) * generator.normal(size=(_DRAWS, m))
        drawn += np.sqrt(_UNKNOWN) * generator.normal(size=(_DRAWS, 1))
        seen = drawn[:, places] + np.sqrt(noise) * generator.normal(size=(_DRAWS, len(places)))
        drawn += (values - seen) @ gain.T
        return cls(mean, np.sqrt(variance), share_of_firsts(drawn))


def measured_logit(output: VerificationOutput) -> tuple[float, float]:
    """The logit of a measured accuracy, and its variance."""
    n = output.held_out
    share = (output.accuracy.value * n + 0.5) / (n + 1)
    return float(logit(share)), 1 / (n * share * (1 - share)) + RUN_ERROR**2


@dataclass(frozen=True)
class VerificationStanding:
    """How far a verification is.

    Attributes:
        next: steps to do now; none once it is over.
        report: for those who ask.
        measured: what those who came to the end reached, by id, the best first.
        accuracy: (low, middle, high) of what is believed of each of these, by id: 90% intervals.
        probability_best: by id, of everybody of whom it is known.
    """

    next: tuple[Trial, ...]
    report: VerificationReport
    measured: Mapping[str, VerificationOutput] = field(default_factory=dict)
    accuracy: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    probability_best: Mapping[str, float] = field(default_factory=dict)


def verify(
    terms: VerificationTerms,
    leaders: Sequence[Leader],
    results: Mapping[Trial, VerificationOutput | SkippedCheckpoint],
    prices: Prices | None = None,
) -> VerificationStanding:
    """How far the verification is with these results.

    Args:
        terms: as settled.
        leaders: everybody who is comparable.
        results: of the steps that are over.
        prices: what a budget has left, which is charged; None where there is none.
    """
    report = VerificationReport(stages=[], pick=None, probability_best=None, reason=terms.unsuited)
    if terms.unsuited is not None:
        return VerificationStanding((), report)
    chosen, reason = _chosen(terms, leaders, prices)
    if reason is not None:
        return VerificationStanding((), report.model_copy(update={"reason": reason}))
    stages: list[StageReport] = []
    before, inside = 0, chosen
    first: dict[str, VerificationOutput] = {}
    for epochs in (_FIRST_EPOCHS, EPOCHS) if len(chosen) > _GO_ON else (EPOCHS,):
        stage, found = _rung(terms, inside, results, prices, before, epochs)
        stages.append(stage)
        if stage.waiting:
            following = tuple(Trial(name, epochs) for name in stage.waiting)
            return VerificationStanding(following, report.model_copy(update={"stages": stages}))
        if not found:
            return VerificationStanding(
                (), report.model_copy(update={"stages": stages, "reason": "none of them could be adapted"})
            )
        belief = _believed(terms, leaders, _measurements(first, found))
        first = first or found
        order = sorted(found, key=lambda name: -belief[name][0])
        kept = order if epochs == EPOCHS else order[:_GO_ON]
        gone = [
            Departure(
                checkpoint=name,
                cause="improbable",
                probability_best=belief[name][2],
                reason=f"after {epochs} epochs it would be the best with probability {belief[name][2]:.3f}",
            )
            for name in order[len(kept) :]
        ]
        stages[-1] = stage.model_copy(update={"left": [*stage.left, *gone]})
        before, inside = epochs, kept
    accuracy = {
        name: tuple(float(each) for each in expit(belief[name][0] + np.array([-1.645, 0.0, 1.645]) * belief[name][1]))
        for name in inside
    }
    best = {name: each[2] for name, each in belief.items()}
    report = VerificationReport(stages=stages, pick=inside[0], probability_best=best[inside[0]], reason=None)
    return VerificationStanding((), report, {name: found[name] for name in inside}, accuracy, best)  # type: ignore[arg-type]


def _chosen(terms: VerificationTerms, leaders: Sequence[Leader], prices: Prices | None) -> tuple[list[str], str | None]:
    """Who is verified, the most probable first; or why nobody is."""
    order = sorted(
        (each for each in leaders if each.checkpoint in terms.tunable), key=lambda one: -one.probability_best
    )
    chosen: list[str] = []
    held = 0.0
    for each in order[: terms.most]:
        if held >= terms.enough:
            break
        chosen.append(each.checkpoint)
        held += each.probability_best
    if len(chosen) < 2:
        if len(order) < 2:
            return [], "fewer than two of those that are left can be adapted"
        return [], f"{chosen[0]} is the best with probability {order[0].probability_best:.2f} without it"
    if prices is None:
        return chosen, None
    costs = np.cumsum([prices.training(name, terms.passes(0, EPOCHS)) for name in chosen])
    affordable = int(np.searchsorted(costs, prices.left * (1 + 1e-9), side="right"))
    if affordable < 2:
        said = prices.budget.said
        return [], f"adapting {' and '.join(chosen[:2])} takes {said(costs[1])}, and {said(prices.left)} is left"
    return chosen[:affordable], None


def _rung(
    terms: VerificationTerms,
    inside: Sequence[str],
    results: Mapping[Trial, VerificationOutput | SkippedCheckpoint],
    prices: Prices | None,
    before: int,
    epochs: int,
) -> tuple[StageReport, dict[str, VerificationOutput]]:
    """Everybody who is in trains until so many epochs are over: the stage, and what was measured."""
    found: dict[str, VerificationOutput] = {}
    left: list[Departure] = []
    spent = 0.0
    for name in inside:
        result = results.get(Trial(name, epochs))
        if result is None:
            continue
        if prices is not None:
            output = None if isinstance(result, SkippedCheckpoint) else result
            spent += prices.charge_training(name, terms.passes(before, epochs), output)
        if isinstance(result, SkippedCheckpoint):
            left.append(Departure(checkpoint=name, cause="failed", probability_best=0.0, reason=result.reason))
        else:
            found[name] = result
    stage = StageReport(
        stage="verify",
        examples=max((each.train_examples for each in found.values()), default=0),
        epochs=epochs,
        entered=len(inside),
        waiting=[name for name in inside if Trial(name, epochs) not in results],
        left=left,
        spent=spent,
        seconds=sum(each.seconds for each in found.values()),
        forward_examples=0,
    )
    return stage, found


def _measurements(
    first: Mapping[str, VerificationOutput], last: Mapping[str, VerificationOutput]
) -> dict[str, tuple[float, float]]:
    """Logits and variances: those who left after the first epochs would have gained as much as the others have."""
    found = {name: measured_logit(output) for name, output in last.items()}
    gained = [found[name][0] - measured_logit(first[name])[0] for name in found if name in first]
    for name in first:
        if name not in found and gained:
            early, variance = measured_logit(first[name])
            found[name] = early + float(np.mean(gained)), variance
    return found


def _believed(
    terms: VerificationTerms, leaders: Sequence[Leader], found: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float, float]]:
    """Mean and deviation of a logit, and probability of being the best, by id.

    Without predictions only of the measured; the best is another one as probably as the ranking said.
    """
    predicted = terms.within is not None and all(each.expected is not None for each in leaders)
    names = [each.checkpoint for each in leaders if predicted or each.checkpoint in found]
    expected = np.array([each.expected if predicted else 0.0 for each in leaders if each.checkpoint in names])
    within = terms.within if predicted and terms.within is not None else _UNKNOWN
    place = {name: index for index, name in enumerate(names)}
    belief = Belief.of(expected, within, {place[name]: measured for name, measured in found.items()})
    share = 1.0 if predicted else sum(each.probability_best for each in leaders if each.checkpoint in found)
    return {
        name: (float(mean), float(deviation), float(share * first))
        for name, mean, deviation, first in zip(names, belief.mean, belief.deviation, belief.first, strict=True)
    }
