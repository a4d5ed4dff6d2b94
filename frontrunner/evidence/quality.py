"""How well scores order checkpoints, against ground truth: rank correlations, regret, and the noise ceiling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from frontrunner.evidence.agreement import kendall_tau, regret, weighted_tau
from frontrunner.evidence.errors import NothingToOrder
from frontrunner.evidence.runs import MeasuredRun, MeasuredScore
from frontrunner.ranking.prediction import Adaptation

# What is said of each checkpoint on each dataset: a score's value, or an accuracy.
Values: TypeAlias = Mapping[str, Mapping[str, float]]
# Draws of the bootstrap over datasets and, within each, over seeds.
_DRAWS = 1000


@dataclass(frozen=True)
class Truth:
    """Accuracies by dataset and checkpoint, a column a seed.

    Attributes:
        accuracies: by dataset: checkpoints' names and (checkpoints, seeds) accuracies in [0, 1]; every checkpoint of a
            dataset has the same seeds.
    """

    accuracies: Mapping[str, tuple[tuple[str, ...], NDArray[np.float64]]]

    def mean(self, dataset: str) -> dict[str, float]:
        """Accuracy by checkpoint, the mean over seeds."""
        names, values = self.accuracies[dataset]
        return dict(zip(names, values.mean(axis=1).tolist(), strict=True))


def truth_of(runs: Iterable[MeasuredRun], adaptation: Adaptation, fewest: int = 3) -> Truth:
    """The truth that completed runs of one adaptation say.

    A dataset's seeds are those that every one of its checkpoints has; a checkpoint that diverged with all seeds, or
    that lacks the first seed, is left out. Datasets with fewer than `fewest` checkpoints, or on which all are equal,
    are left out.

    Args:
        runs: of one protocol.
        adaptation: which of them count.
        fewest: checkpoints that a dataset needs.
    """
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if run.adaptation == adaptation and run.status == "completed" and run.accuracy is not None:
            found[run.dataset][run.checkpoint][run.seed] = run.accuracy
    truth = {}
    for dataset, checkpoints in found.items():
        first = min(seed for seeds in checkpoints.values() for seed in seeds)
        kept = {name: seeds for name, seeds in checkpoints.items() if first in seeds}
        shared = sorted(set.intersection(*(set(seeds) for seeds in kept.values())))
        values = np.array([[seeds[seed] for seed in shared] for seeds in kept.values()])
        if len(kept) >= fewest and np.ptp(values.mean(axis=1)):
            truth[dataset] = tuple(kept), values
    return Truth(truth)


class Figure(BaseModel):
    """A mean over datasets."""

    mean: float
    error: float | None = Field(
        description="Standard error over the draw of datasets and seeds; None with one dataset."
    )


class Quality(BaseModel):
    """How well one score orders the checkpoints of the datasets that it has values for."""

    score: str
    datasets: int = Field(description="On how many it is judged.")
    weighted_tau: Figure = Field(description="Agreement of its order with the truth's, -1 to 1; the top counts most.")
    kendall: Figure = Field(description="The same without weights.")
    regret: Figure = Field(description="Points, 0 to 100, that its first pick is below the best checkpoint.")
    regret_of_three: Figure = Field(description="Points that the best of its first three is below the best checkpoint.")
    of_ceiling: float | None = Field(
        description="Its weighted tau as a share of that between two seeds of the truth on its datasets; None with "
        "one seed, or where two seeds do not agree."
    )
    by_dataset: dict[str, float] = Field(description="Its weighted tau on each dataset.")


def quality(score: str, values: Values, truth: Truth, *, seed: int = 0) -> Quality:
    """How well one score orders the checkpoints.

    Checkpoints without a value are put last. Standard errors are those of a bootstrap over datasets and, in each, over
    the seeds of the truth.

    Args:
        score: its name.
        values: what it says, by dataset and checkpoint; higher is better.
        truth: what is right.
        seed: of the bootstrap.

    Raises:
        NothingToOrder: the truth and the score have no dataset in common.
    """
    shared = [dataset for dataset in truth.accuracies if dataset in values]
    if not shared:
        raise NothingToOrder(f"{score} has no value on a dataset whose checkpoints were adapted and differ")
    predicted = {dataset: _predicted(values[dataset], truth.accuracies[dataset][0]) for dataset in shared}
    measures: list[Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = [
        _tau,
        lambda x, y: kendall_tau(x, y) if np.ptp(y) else 0.0,
        lambda x, y: 100 * regret(x, y),
        lambda x, y: 100 * regret(x, y, top=3),
    ]
    generator = np.random.default_rng(seed)
    exact = np.zeros((len(shared), len(measures)))
    draws = np.zeros((_DRAWS, len(shared), len(measures)))
    for place, dataset in enumerate(shared):
        accuracies = truth.accuracies[dataset][1]
        seeds = accuracies.shape[1]
        exact[place] = [measure(predicted[dataset], accuracies.mean(axis=1)) for measure in measures]
        chosen = generator.integers(seeds, size=(_DRAWS, seeds))
        patterns, which = np.unique(np.sort(chosen, axis=1), axis=0, return_inverse=True)
        drawn = [accuracies[:, pattern].mean(axis=1) for pattern in patterns]
        each = np.array([[measure(predicted[dataset], y) for measure in measures] for y in drawn])
        draws[:, place] = each[which.reshape(-1)]
    over = generator.integers(len(shared), size=(_DRAWS, len(shared)))
    means = draws[np.arange(_DRAWS)[:, None], over].mean(axis=1)
    # A bootstrap of n spreads by the variance over n, and not over n - 1.
    n = len(shared)
    spread = means.std(axis=0, ddof=1) * (n / max(n - 1, 1)) ** 0.5
    errors = [None if n == 1 else float(error) for error in spread]
    figures = [Figure(mean=float(m), error=error) for m, error in zip(exact.mean(axis=0), errors, strict=True)]
    ceiling = noise_ceiling(truth, shared)
    return Quality(
        score=score,
        datasets=len(shared),
        weighted_tau=figures[0],
        kendall=figures[1],
        regret=figures[2],
        regret_of_three=figures[3],
        of_ceiling=figures[0].mean / ceiling if ceiling is not None and ceiling > 0 else None,
        by_dataset=dict(zip(shared, exact[:, 0].tolist(), strict=True)),
    )


def chance(values: Values, truth: Truth, *, seed: int = 0) -> float:
    """Probability that a random order of the checkpoints agrees with the truth as well as this one, by permutations.

    Checkpoints change places alike on all datasets: an order that is the same everywhere is one success, not many.

    Args:
        values, truth, seed: as for `quality`.

    Returns:
        At least 1 in 1,001, as no more orders are drawn.
    """
    generator = np.random.default_rng(seed)
    shared = {dataset: names for dataset, (names, _) in truth.accuracies.items() if dataset in values}
    every = sorted({name for names in shared.values() for name in names})
    predicted = {dataset: _predicted(values[dataset], tuple(every)) for dataset in shared}
    places = {dataset: [every.index(name) for name in names] for dataset, names in shared.items()}
    results = {dataset: truth.accuracies[dataset][1].mean(axis=1) for dataset in shared}

    def agreement(order: NDArray[np.int64]) -> float:
        return sum(_tau(predicted[dataset][order[places[dataset]]], results[dataset]) for dataset in shared)

    reached = agreement(np.arange(len(every)))
    drawn = np.array([agreement(generator.permutation(len(every))) for _ in range(_DRAWS)])
    # Sums of the same numbers in another order differ in their last digits.
    return (1 + int((drawn >= reached - 1e-9).sum())) / (1 + _DRAWS)


def noise_ceiling(truth: Truth, datasets: Iterable[str] | None = None) -> float | None:
    """The mean weighted tau between two seeds of the truth, over pairs and datasets; None with one seed.

    A score that knew the expected accuracy would come out above it, as it does not carry a seed's noise itself.

    Args:
        truth: what is right.
        datasets: over which; all by default.
    """
    found = [truth.accuracies[dataset][1] for dataset in (truth.accuracies if datasets is None else datasets)]
    taus = [
        np.mean([_tau(values[:, a], values[:, b]) for a, b in combinations(range(values.shape[1]), 2)])
        for values in found
        if values.shape[1] > 1
    ]
    return float(np.mean(taus)) if taus else None


def noise_regret(truth: Truth) -> float | None:
    """What the best checkpoint by one seed loses under another, in points, over pairs and datasets; None with one seed.

    The price of adapting every checkpoint once and taking the best: few scores can be expected to lose less.

    Args:
        truth: what is right.
    """
    lost = [
        np.mean([100 * regret(values[:, a], values[:, b]) for a, b in permutations(range(values.shape[1]), 2)])
        for _, values in truth.accuracies.values()
        if values.shape[1] > 1
    ]
    return float(np.mean(lost)) if lost else None


def values_of(scores: Iterable[MeasuredScore]) -> dict[str, dict[str, dict[str, float]]]:
    """By score, dataset and checkpoint."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in scores:
        found[row.score][row.dataset][row.checkpoint] = row.value
    return found


def _tau(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Weighted tau; 0 where all results are equal, as they may be with one seed."""
    return weighted_tau(predicted, measured) if np.ptp(measured) else 0.0


def _predicted(values: Mapping[str, float], names: tuple[str, ...]) -> NDArray[np.float64]:
    lowest = min(values.values(), default=0.0) - 1.0
    return np.array([values.get(name, lowest) for name in names])
