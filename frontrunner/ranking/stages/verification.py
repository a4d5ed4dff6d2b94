"""The last stage of a ranking: the few that could be the best are adapted for a short while, and measured. Pure.

Who is verified, for how long, and what is believed then is worked out anew from the results so far, each time, as a
race is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from frontrunner.hub import SkippedCheckpoint
from frontrunner.ranking.stages.belief import Leader, LogitBelief, believed, measurements
from frontrunner.ranking.stages.prices import Prices
from frontrunner.ranking.stages.report import Departure, StageReport, VerificationReport
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.verification import EPOCHS, VerificationOutput, passes

# More are as good as never the best, and each costs as much as the first.
MOST = 3
# Of three, two go on after so many epochs.
_FIRST_EPOCHS, _GO_ON = 2, 2
# Where a budget has some left, those two run for the first epochs with so many other seeds.
_MOST_AGAIN = 2
# Where nobody asked for a number, those are verified that together are the best with this probability.
ENOUGH = 0.95


class Trial(NamedTuple):
    """A step: a checkpoint is adapted until so many epochs are over; those before are not trained again.

    Attributes:
        again: 0 for the first run, and counts those that follow with other seeds.
    """

    checkpoint: str
    epochs: int
    again: int = 0


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

    def price(self, prices: Prices, checkpoint: str) -> float:
        """Expected of verifying one to the end, in its two steps."""
        return sum(
            prices.training(checkpoint, self.passes(before, after))
            for before, after in ((0, _FIRST_EPOCHS), (_FIRST_EPOCHS, EPOCHS))
        )


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
    for epochs in (_FIRST_EPOCHS, EPOCHS):
        stage, found = _rung(terms, inside, results, prices, before, epochs)
        stages.append(stage)
        if stage.waiting:
            following = tuple(Trial(name, epochs) for name in stage.waiting)
            return VerificationStanding(following, report.model_copy(update={"stages": stages}))
        if not found:
            reason = f"none came to the end of {epochs} epochs" if before else "none of them could be adapted"
            return VerificationStanding((), report.model_copy(update={"stages": stages, "reason": reason}))
        first = {name: each for name, each in first.items() if name not in {gone.checkpoint for gone in stage.left}}
        first = first or found
        belief = believed(terms.within, leaders, measurements(first, found, [], terms.examples))
        order = sorted(found, key=lambda name: -belief[name].mean)
        kept = order if epochs == EPOCHS else order[:_GO_ON]
        gone = [_beaten(name, belief[name].probability_best, epochs) for name in order[len(kept) :]]
        stages[-1] = stage.model_copy(update={"left": [*stage.left, *gone]})
        before, inside = epochs, kept
    inside, belief, more, waiting = _again(terms, leaders, inside, results, prices, first, found, belief)
    stages += more
    if waiting:
        return VerificationStanding(tuple(waiting), report.model_copy(update={"stages": stages}))
    inside = sorted(inside, key=lambda name: -belief[name].mean)
    best = {name: each.probability_best for name, each in belief.items()}
    report = VerificationReport(stages=stages, pick=inside[0], probability_best=best[inside[0]], reason=None)
    measured = {name: found[name] for name in inside}
    return VerificationStanding((), report, measured, {name: belief[name].accuracy for name in inside}, best)


def _beaten(name: str, chance: float, epochs: int) -> Departure:
    reason = f"after {epochs} epochs it would be the best with probability {chance:.3f}"
    return Departure(checkpoint=name, cause="improbable", probability_best=chance, reason=reason)


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
        if terms.most < 2:
            return [], "one alone is compared with nobody: two are the fewest"
        return [], f"{chosen[0]} is the best with probability {order[0].probability_best:.2f} without it"
    if prices is None:
        return chosen, None
    costs = np.cumsum([terms.price(prices, name) for name in chosen])
    affordable = int(np.searchsorted(costs, prices.left * (1 + 1e-9), side="right"))
    if affordable < 2:
        said = prices.budget.said
        return [], f"adapting {' and '.join(chosen[:2])} takes {said(costs[1])}, and {said(prices.left)} is left"
    return chosen[:affordable], None


def _again(
    terms: VerificationTerms,
    leaders: Sequence[Leader],
    inside: list[str],
    results: Mapping[Trial, VerificationOutput | SkippedCheckpoint],
    prices: Prices | None,
    first: Mapping[str, VerificationOutput],
    found: Mapping[str, VerificationOutput],
    belief: dict[str, LogitBelief],
) -> tuple[list[str], dict[str, LogitBelief], list[StageReport], list[Trial]]:
    """The first epochs with other seeds, as long as it is not clear which of them is better and the budget reaches.

    Args:
        belief: by what `first` and `found` measured.

    Returns:
        Who is still in; what is believed then; the stages; the steps to do now.
    """
    repeated: list[dict[str, VerificationOutput]] = []
    stages: list[StageReport] = []
    for again in range(1, _MOST_AGAIN + 1):
        chances = [belief[name].probability_best for name in inside]
        if prices is None or max(chances) >= ENOUGH * sum(chances):
            break
        begun = any(Trial(name, _FIRST_EPOCHS, again) in results for name in inside)
        wanted = sum(prices.training(name, terms.passes(0, _FIRST_EPOCHS)) for name in inside)
        if not begun and wanted > prices.left * (1 + 1e-9):
            break
        stage, measured = _rung(terms, inside, results, prices, 0, _FIRST_EPOCHS, again)
        stages.append(stage)
        if stage.waiting:
            return inside, belief, stages, [Trial(name, _FIRST_EPOCHS, again) for name in stage.waiting]
        if len(measured) < len(inside):
            # Of one alone another seed says nothing. Where it fails for both, the first one stands.
            return list(measured) or inside, belief, stages, []
        repeated.append(measured)
        belief = believed(terms.within, leaders, measurements(first, found, repeated, terms.examples))
    return inside, belief, stages, []


def _rung(
    terms: VerificationTerms,
    inside: Sequence[str],
    results: Mapping[Trial, VerificationOutput | SkippedCheckpoint],
    prices: Prices | None,
    before: int,
    epochs: int,
    again: int = 0,
) -> tuple[StageReport, dict[str, VerificationOutput]]:
    """Everybody who is in trains until so many epochs are over: the stage, and what was measured."""
    found: dict[str, VerificationOutput] = {}
    left: list[Departure] = []
    spent = 0.0
    for name in inside:
        result = results.get(Trial(name, epochs, again))
        if result is None:
            continue
        if prices is not None:
            output = None if isinstance(result, SkippedCheckpoint) else result
            spent += prices.charge_training(name, terms.passes(before, epochs), output)
        if isinstance(result, SkippedCheckpoint):
            left.append(Departure(checkpoint=name, cause="failed", probability_best=0.0, reason=result.reason))
        elif result.ended == "diverged":
            reason = f"its training diverged after {result.epochs} epochs"
            left.append(Departure(checkpoint=name, cause="failed", probability_best=0.0, reason=reason))
        else:
            found[name] = result
    stage = StageReport(
        stage="verify",
        examples=max((each.train_examples for each in found.values()), default=0),
        epochs=epochs,
        again=again,
        entered=len(inside),
        waiting=[name for name in inside if Trial(name, epochs, again) not in results],
        left=left,
        spent=spent,
        seconds=sum(each.seconds for each in found.values()),
        forward_examples=0,
    )
    return stage, found
