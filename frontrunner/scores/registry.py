"""The one registry of transferability scores; the API, the command line and the documentation list from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontrunner.errors import UnknownScore
from frontrunner.scores.logme import logme_from_statistics
from frontrunner.shard import Shard
from frontrunner.statistics import FeatureStatistics

Task: TypeAlias = Literal["classification", "multi-label", "regression"]


@dataclass(frozen=True)
class ScoreValue:
    """A score of one checkpoint on one dataset; higher is better. `low` and `high` bound it where known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Score:
    """A transferability score that describes itself."""

    name: str
    title: str
    source: str
    tasks: frozenset[Task]
    range: str
    explanation: str
    from_statistics: Callable[[FeatureStatistics], float]
    # Part of every cache key: raise it whenever the number for the same input changes.
    version: int = 1


_SCORES = {
    score.name: score
    for score in (
        Score(
            name="logme",
            title="LogME",
            source="You et al., ICML 2021; You et al., JMLR 2022",
            tasks=frozenset({"classification", "multi-label", "regression"}),
            range="unbounded; comparable within one dataset only",
            explanation="Evidence per example of a linear model on the frozen features: how well they explain the labels.",
            from_statistics=lambda statistics: logme_from_statistics(statistics).score,
        ),
    )
}


def names() -> list[str]:
    """The registered names, the default score first."""
    return list(_SCORES)


def describe(name: str) -> Score:
    """The score registered under `name`.

    Raises:
        UnknownScore: there is none.
    """
    try:
        return _SCORES[name]
    except KeyError:
        raise UnknownScore(f"there is no score '{name}'; choose from: {', '.join(_SCORES)}") from None


def evaluate(
    names: Sequence[str], statistics: FeatureStatistics, shards: Sequence[Shard]
) -> dict[str, ScoreValue]:
    """Every named score of one checkpoint. `statistics` are the sums over all `shards`."""
    return {name: ScoreValue(describe(name).from_statistics(statistics)) for name in names}


def score(name: str, features: ArrayLike, labels: ArrayLike) -> float:
    """One score of features (n, D) against labels: integers or strings (n,) are classes, floats (n,) or (n, K) targets.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], 50)
        >>> informative = rng.normal(size=(100, 4)) + labels[:, None]
        >>> score("logme", informative, labels) > score("logme", rng.normal(size=(100, 4)), labels)
        True
    """
    return describe(name).from_statistics(statistics_of(features, labels))


def statistics_of(features: ArrayLike, labels: ArrayLike) -> FeatureStatistics:
    """Statistics of one in-memory set; the type of `labels` tells classes from real targets."""
    given: NDArray[np.generic] = np.asarray(labels)
    if given.dtype.kind == "f":
        return FeatureStatistics().update(features, targets=given)
    return FeatureStatistics().update(features, labels=given)
