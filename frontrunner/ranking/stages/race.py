"""A ranking under a budget: who reads how many examples next, who leaves, and who is to be taken. Pure.

A shortlist keeps what could be best and what can be paid for, before any pass. Then samples grow, and after each round
those leave that would hardly have been first, and those that the budget does not reach. Everything is worked out anew
from the results so far, each time: whoever asks after an interruption gets the same answers from the same results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.request import StepOutput
from frontrunner.ranking.stages.chances import (
    Chances,
    Expectations,
    independent_first,
    inflation,
    true_spread,
)
from frontrunner.ranking.stages.prices import Prices
from frontrunner.ranking.stages.report import BudgetReport, Departure, StageReport
from frontrunner.ranking.stages.verification import VerificationTerms
from frontrunner.scores import ScoreValue

# The first round: as many as everybody can read for the first round's share of the budget, within these limits.
MOST_FIRST, LEAST_FIRST = 128, 16
# Of each class, if that is more: from one example of a class nothing can be held out.
_FIRST_PER_CLASS = 2
# From round to round. Opening a checkpoint again is small beside reading, and those that leave early save the most.
GROWTH = 2
# At the end, for what is left of a budget.
LEAST_GROWTH = 1.25
# Of the budget, at most, for the first round; of what is left, at most, for each one that another may follow.
ROUND_SHARE = 0.5
# Of the budget, at most, for a first round that could not be smaller without having too few of each class.
_SCARCE_SHARE = 0.6
# At each stage those leave that together would have been first in at most so many rankings.
NEGLECTED = 0.01
# Of the budget, at most, for adapting those who are left.
VERIFIED_SHARE = 0.5
# Steps at a time until something is measured, where seconds count.
_UNMEASURED_STEPS = 4


class Reading(NamedTuple):
    """A step: a checkpoint reads a sample; what it has read before is cached."""

    checkpoint: str
    examples: int


@dataclass(frozen=True)
class Standing:
    """How far a race is.

    Attributes:
        next: steps to do now, in any order; none once the race is over.
        outcomes: what each checkpoint's largest sample gave, or why its last step failed, by id.
        report: everything else.
        prices: what was charged, and what is left.
    """

    next: tuple[Reading, ...]
    outcomes: dict[str, StepOutput | SkippedCheckpoint]
    report: BudgetReport
    prices: Prices


@dataclass(frozen=True)
class Race:
    """What is settled before the first step.

    Attributes:
        budget: what may be spent.
        candidates: every checkpoint that a full ranking would read.
        expectations: what is believed of them before any pass; of those that are missing nothing is.
        whole: examples that a full ranking would read with each.
        classes: of the dataset.
        ordered_by: the score that decides.
        verification: of those who are left, where the budget is to pay for one too.
        gone: seconds that went by before the first step.
    """

    budget: Budget
    candidates: tuple[CheckpointDescription, ...]
    expectations: Expectations
    whole: int
    classes: int
    ordered_by: str
    verification: VerificationTerms | None = None
    gone: float = 0.0

    def standing(self, results: Mapping[Reading, StepOutput | SkippedCheckpoint]) -> Standing:
        """How far the race is with these results."""
        return _Run(self, results).run()


def sizes_of(whole: int, first: int = MOST_FIRST) -> list[int]:
    """Samples of the rounds, ascending; the last one is everything.

    Example:
        >>> sizes_of(1000)
        [128, 256, 512, 1000]
        >>> sizes_of(60)
        [60]
    """
    sizes = [first]
    while sizes[-1] < whole:
        sizes.append(sizes[-1] * GROWTH)
    return [*sizes[:-1], whole]


class _Run:
    """One replay of a race. Those who are in are kept in the order of their chances."""

    def __init__(self, race: Race, results: Mapping[Reading, StepOutput | SkippedCheckpoint]) -> None:
        self._race = race
        self._results = results
        self._prices = Prices(race.budget, race.candidates, race.whole, race.gone)
        self._stages: list[StageReport] = []
        self._outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
        self._inside = [candidate.id for candidate in race.candidates]
        self._chances: dict[str, float] = {}
        self._kept = 1.0
        self._found: dict[str, ScoreValue] = {}
        self._expected: dict[str, float] = {}
        self._size, self._scale = 0, 1.0
        self._more: str | None = None
        # The race decides who comes this far; among them adapting decides.
        self._fewest = 1
        self._set_aside()

    def run(self) -> Standing:
        sizes = sizes_of(self._race.whole, self._first_size())
        self._shortlist(sizes[0])
        before, size, larger = 0, sizes[0], sizes[1:]
        while True:
            waiting = self._round(before, size)
            if waiting:
                most = len(waiting) if self._prices.is_measured else _UNMEASURED_STEPS
                return self._standing(tuple(Reading(name, size) for name in waiting[:most]))
            larger = [other for other in larger if other > size]
            following = self._part(size, larger) if larger and len(self._inside) > self._fewest else None
            if following is None:
                return self._standing(())
            before, size = size, following

    def _set_aside(self) -> None:
        """Reserve what adapting as many as were asked for may take, if two can be adapted for half of the budget."""
        terms = self._race.verification
        if terms is None or terms.unsuited is not None:
            return
        names = [name for name in self._inside if name in terms.tunable]
        prices = sorted(terms.price(self._prices, name) for name in names)
        most = VERIFIED_SHARE * self._prices.limit
        fits = len(prices) > 1 and sum(prices[:2]) <= most
        self._prices.reserved = min(most, sum(prices[-terms.most :])) if fits else 0.0
        self._fewest = terms.most if fits else 1

    def _first_size(self) -> int:
        size = MOST_FIRST
        enough = _FIRST_PER_CLASS * self._race.classes
        while size < enough:
            size *= 2
        while size > LEAST_FIRST:
            share = ROUND_SHARE if size // 2 >= enough else _SCARCE_SHARE
            if sum(self._prices.expected(name, 0, size) for name in self._inside) <= share * self._prices.left:
                break
            size //= 2
        return size

    def _shortlist(self, size: int) -> None:
        """Order everybody by what is believed of them, cheap ones first where nothing is; keep what may be best."""
        price = {name: self._prices.expected(name, 0, size) for name in self._inside}
        chances = _chances_before(self._race.expectations, self._inside)
        order = sorted(self._inside, key=lambda name: (-chances[name], price[name], name))
        informed = bool(self._race.expectations.checkpoints)  # equal chances of nobody's knowing are no reason to leave
        left = self._improbable(order, chances, "by what is known of it without reading") if informed else []
        order = order[: len(order) - len(left)]
        allowance = self._prices.left * (ROUND_SHARE if size < self._race.whole else 1.0)
        affordable = _prefix([price[name] for name in order], allowance)
        kept, beyond = order[: max(affordable, 1)], order[max(affordable, 1) :]
        left += [self._unaffordable(name, chances[name], size) for name in beyond]
        self._kept *= 1 - sum(each.probability_best for each in left)
        if left:
            entered = len(self._inside)
            self._stages.append(
                StageReport(
                    stage="shortlist", examples=0, entered=entered, waiting=[], left=left, spent=0.0, seconds=0.0,
                    forward_examples=0,
                )
            )  # fmt: skip
        self._inside = kept
        self._chances = {name: chances[name] for name in kept}

    def _round(self, before: int, size: int) -> list[str]:
        """Everybody who is in reads a sample. Returns those who are still to read it; nobody once the round is over."""
        spent, seconds, forward = self._prices.spent, 0.0, 0
        left, read, missing = [], [], []
        for name in self._inside:
            result = self._results.get(Reading(name, size))
            if result is None:
                missing.append(name)
                continue
            self._prices.charge(name, before, size, None if isinstance(result, SkippedCheckpoint) else result)
            self._outcomes[name] = result
            if isinstance(result, SkippedCheckpoint):
                left.append(Departure(checkpoint=name, cause="failed", probability_best=0.0, reason=result.reason))
                continue
            seconds, forward = seconds + result.seconds, forward + result.forward_examples
            read.append(name)
        affordable = _prefix([self._prices.expected(name, before, size) for name in missing], self._prices.left)
        if not read and not affordable:
            affordable = 1  # the least answer there is
        waiting, beyond = missing[:affordable], missing[affordable:]
        if not waiting:
            left += [self._unaffordable(name, self._chances[name], size) for name in beyond]
            self._kept *= 1 - sum(self._chances[each.checkpoint] for each in left if each.cause == "unaffordable")
            self._inside = read
            if read:
                self._order(size)
        self._stages.append(
            StageReport(
                stage="race",
                examples=size,
                entered=len(read) + len(missing) + len([each for each in left if each.cause == "failed"]),
                waiting=waiting,
                left=left,
                spent=self._prices.spent - spent,
                seconds=seconds,
                forward_examples=forward,
            )
        )
        return waiting

    def _order(self, size: int) -> None:
        """Those who are in, by their chances after having read a sample."""
        race, names = self._race, self._inside
        read = [self._results[Reading(name, size)] for name in names]
        found = [output.scores[race.ordered_by] for output in read if isinstance(output, StepOutput)]
        chances = Chances.of(
            found,
            examples=size,
            whole=race.whole,
            inflation=self._inflation(size),
            believed=[race.expectations.of(name) for name in names],
            reading=race.expectations.reading,
            scale=self._scale * self._growth(size, found) if self._found else None,
        )
        places = sorted(range(len(found)), key=lambda place: (-chances.first[place], -chances.expected[place]))
        self._chances = {names[place]: float(chances.first[place]) for place in places}
        self._inside = list(self._chances)
        self._found, self._size, self._scale = dict(zip(names, found, strict=True)), size, chances.scale
        self._expected = dict(zip(names, chances.expected.tolist(), strict=True))

    def _growth(self, size: int, found: Sequence[ScoreValue]) -> float:
        """By how much wider a score spreads with a larger sample: those who are still in differ less than all did."""
        before = [self._found[name] for name in self._inside]
        whole = self._race.whole
        narrow = true_spread(before, examples=self._size, whole=whole, inflation=self._inflation(self._size))
        wide = true_spread(found, examples=size, whole=whole, inflation=self._inflation(size))
        return float(np.clip(wide / narrow, 1 / GROWTH, GROWTH)) if narrow else 1.0

    def _inflation(self, size: int) -> float:
        return inflation(self._race.ordered_by, size / self._race.classes)

    def _part(self, size: int, larger: Sequence[int]) -> int | None:
        """Take out those who cannot win and those who cannot be paid for; the sample of the next round, if any.

        Where the budget does not reach to the next size with two, the best two read as much as it reaches for.
        """
        left = self._improbable(self._inside, self._chances, f"after {size:,} examples")
        stay = self._inside[: len(self._inside) - len(left)]
        prices = [self._prices.expected(name, size, larger[0]) for name in stay]
        affordable = _prefix(prices, self._prices.left * (ROUND_SHARE if len(larger) > 1 else 1.0))
        fewest = max(self._fewest, 2)
        if affordable < fewest:
            affordable = _prefix(prices, self._prices.left)
        following: int | None = larger[0]
        if len(stay) > 1 and affordable < fewest:
            affordable, following = fewest, self._reached(stay[:fewest], size, larger[0])
        if len(stay) > self._fewest and following is not None:
            left += [self._unaffordable(name, self._chances[name], following) for name in stay[affordable:]]
            stay = stay[:affordable]
        elif len(stay) > self._fewest:
            wanted = self._race.budget.said(sum(prices))
            self._more = f"reading {larger[0]:,} examples with the {len(stay)} that are still in takes {wanted} more"
        # What the leader's chances are among those who stay is known from here on; what left is lost.
        lost = sum(each.probability_best for each in left)
        self._kept *= 1 - lost
        self._chances = {name: self._chances[name] / (1 - lost) for name in stay}
        self._inside = stay
        self._stages[-1] = self._stages[-1].model_copy(update={"left": [*self._stages[-1].left, *left]})
        self._set_aside()
        return following if len(stay) > self._fewest else None

    def _reached(self, names: Sequence[str], size: int, following: int) -> int | None:
        """The sample below the next one for which the budget reaches; None where it adds next to nothing."""
        # What it takes to open checkpoints anew, and to compute scores anew, is paid for the smallest sample too.
        least, all_of_it = (
            sum(self._prices.expected(name, size, after) for name in names) for after in (size, following)
        )
        reached = size + int((following - size) * (self._prices.left - least) / (all_of_it - least))
        return reached if reached >= LEAST_GROWTH * size else None

    def _improbable(self, order: Sequence[str], chances: Mapping[str, float], when: str) -> list[Departure]:
        """The last of an order, as long as it is improbable that any of them would be the first."""
        left: list[Departure] = []
        total = 0.0
        for name in reversed(order[self._fewest :]):
            total += chances[name]
            if total > NEGLECTED:
                break
            reason = f"it would be the first with probability {chances[name]:.3f} {when}"
            left.append(Departure(checkpoint=name, cause="improbable", probability_best=chances[name], reason=reason))
        return left[::-1]

    def _unaffordable(self, name: str, chance: float, examples: int) -> Departure:
        reason = f"the budget does not reach to read {examples:,} examples with it; others have better chances"
        return Departure(checkpoint=name, cause="unaffordable", probability_best=chance, reason=reason)

    def _standing(self, following: tuple[Reading, ...]) -> Standing:
        prices = self._prices
        pick = max((name for name in self._inside if name in self._found), key=self._expected.__getitem__, default=None)
        report = BudgetReport(
            budget=str(self._race.budget),
            unit=self._race.budget.unit,
            limit=prices.limit,
            spent=prices.spent,
            full_cost=prices.full,
            stages=self._stages,
            inside=self._inside,
            pick=pick,
            probability_best=0.0 if pick is None else self._kept * self._chances[pick],
            more=None if following else self._more,
        )
        if not following:
            prices.reserved = 0.0
        return Standing(following, self._outcomes, report, prices)


def _chances_before(expectations: Expectations, names: Sequence[str]) -> dict[str, float]:
    """Of being first, before any pass."""
    believed = [expectations.of(name) for name in names]
    if len(set(believed)) == 1:
        return dict.fromkeys(names, 1 / len(names))
    first = independent_first(*np.array([(each.mean, each.deviation) for each in believed]).T)
    return dict(zip(names, first.tolist(), strict=True))


def _prefix(prices: Sequence[float], allowance: float) -> int:
    """How many of the first ones can be paid for.

    Example:
        >>> _prefix([1.0, 2.0, 3.0], 4.0)
        2
    """
    return int(np.searchsorted(np.cumsum(prices), allowance * (1 + 1e-9), side="right"))
