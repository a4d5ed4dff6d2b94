"""The uncertainty of a score: intervals, paired comparisons and ties.

All of it rests on the jackknife: leave a group of rows out, score the rest, and see by how much the value changes.
`jackknife_over_shards` does exactly that, by subtraction of statistics, at the cost of one score for each shard; for
LogME that is one decomposition for each shard. Rankings therefore use the same jackknife to first order (`influence`).
Tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from frontrunner.scores.score import ScoreValue
from frontrunner.statistics import FeatureStatistics, Floats

CONFIDENCE = 0.95


def interval(
    value: float, replicates: Floats, lowest: float = float("-inf"), highest: float = float("inf")
) -> tuple[float, float] | None:
    """The 95% jackknife interval around `value`, cut at the score's limits; None for fewer than two groups.

    Args:
        value: the score of all rows.
        replicates: (G,) the score without each group.
        lowest: the least value that the score can take.
        highest: the largest.

    Source: Efron & Stein 1981 (delete-group jackknife), Student's t with G - 1 degrees of freedom.

    Example:
        >>> low, high = interval(0.5, np.array([0.4, 0.5, 0.6]), lowest=0.1)  # 0.5 -+ 4.303 * 0.1155
        >>> low, round(high, 3)
        (0.1, 0.997)
    """
    groups = replicates.shape[0]
    if groups < 2:
        return None
    reach = standard_error(replicates) * float(stdtrit(degrees_of_freedom(replicates), 0.5 + CONFIDENCE / 2))
    if not isfinite(reach):
        return None
    return max(value - reach, lowest), min(value + reach, highest)


def standard_error(replicates: Floats) -> float:
    """sqrt((G - 1) / G sum (r_g - mean r)^2) over G delete-group replicates."""
    groups = replicates.shape[0]
    return sqrt((groups - 1) / groups * float(((replicates - replicates.mean()) ** 2).sum()))


def degrees_of_freedom(replicates: Floats) -> float:
    """2 G / (k - 1), 1 to G - 1, with the kurtosis k of G replicates: the fewer, the more a few rows decide.

    This is the number for which a chi-squared variable varies as the variance of the replicates does (Satterthwaite
    1946).

    Example:
        >>> degrees_of_freedom(np.array([-1.0, 1.0, -1.0, 1.0]))
        3.0
    """
    groups = replicates.shape[0]
    square = (replicates - replicates.mean()) ** 2
    spread = float((square**2).mean()) - (variance := float(square.mean())) ** 2
    most = float(groups - 1)
    return min(most, max(2 * groups * variance**2 / spread, 1.0)) if spread > 0 else most


def probability_first_beats_second(first: ScoreValue, second: ScoreValue) -> float | None:
    """Probability, 0 to 1, that the first checkpoint's score is the higher one, over draws of the examples.

    Both read the same examples, so the replicates are paired, and what changes both scores alike cancels. Replicates of
    different number (another sample of the dataset) are treated as independent. None where either has fewer than two.

    Example:
        >>> a = ScoreValue(value=0.9, replicates=(0.89, 0.90, 0.91))
        >>> b = ScoreValue(value=0.7, replicates=(0.69, 0.70, 0.71))
        >>> probability_first_beats_second(a, b), probability_first_beats_second(a, a)
        (1.0, 0.5)
    """
    groups = min(len(first.replicates), len(second.replicates))
    if groups < 2:
        return None
    a, b = np.array(first.replicates), np.array(second.replicates)
    paired = len(a) == len(b)
    error = standard_error(a - b) if paired else sqrt(standard_error(a) ** 2 + standard_error(b) ** 2)
    lead = first.value - second.value
    # Equal replicates would have an error of zero but for rounding.
    if error <= 1e-12 * max(abs(first.value), abs(second.value)):
        return 0.5 if lead == 0 else float(lead > 0)
    freedom = degrees_of_freedom(a - b) if paired else min(degrees_of_freedom(a), degrees_of_freedom(b))
    return float(stdtr(freedom, lead / error))


def tied(first: ScoreValue, second: ScoreValue) -> bool:
    """Whether the examples cannot tell the two apart: their intervals overlap or, without intervals, they are equal.

    Example:
        >>> best = ScoreValue(value=0.8, low=0.7, high=0.9)
        >>> tied(best, ScoreValue(value=0.7, low=0.6, high=0.8)), tied(best, ScoreValue(value=0.5, low=0.4, high=0.6))
        (True, False)
    """
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return first.value == second.value
    return first.low <= second.high and second.low <= first.high


def jackknife_over_shards(
    value: Callable[[FeatureStatistics], float], whole: FeatureStatistics, shards: Iterable[FeatureStatistics]
) -> Floats:
    """(G,) the score without each shard, exactly, by subtraction.

    Args:
        value: a score of statistics alone.
        whole: the sum of all shards.
        shards: statistics of each shard.

    Raises:
        NothingToSeparate: without one of the shards only one class is left.

    Example:
        >>> from frontrunner.scores.logme import logme_from_statistics
        >>> generator = np.random.default_rng(0)
        >>> shards = []
        >>> for _ in range(4):
        ...     labels = np.arange(30) % 3
        ...     shards.append(FeatureStatistics().update(generator.normal(size=(30, 5)) + labels[:, None], labels))
        >>> whole = sum(shards, FeatureStatistics())
        >>> jackknife_over_shards(lambda s: logme_from_statistics(s).score, whole, shards).shape
        (4,)
    """
    return np.array([value(whole - shard) for shard in shards])
