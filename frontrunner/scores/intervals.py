"""The uncertainty of a score: intervals, paired comparisons and ties.

All of it rests on the jackknife: leave a group of rows out, score the rest, and see by how much the value changes.
`jackknife_over_shards` does exactly that, by subtraction of statistics, at the cost of one score for each shard; for
LogME that is one decomposition for each shard. Rankings therefore use the same jackknife to first order (`influence`).
Tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from frontrunner.scores.score import ScoreValue
from frontrunner.statistics import FeatureStatistics, Floats

CONFIDENCE = 0.95
# Part of every cache key of a score: raised whenever intervals or groups change.
INTERVALS_VERSION = 2
# Enough for two digits of a probability; every look at a ranking draws them anew.
_DRAWS = 1000


def interval(
    value: float, replicates: Floats, lowest: float = float("-inf"), highest: float = float("inf")
) -> tuple[float, float] | None:
    """The 95% jackknife interval around `value`, cut at the score's limits; None for fewer than two groups.

    Args:
        value: the score of all rows.
        replicates: (G,) the score without each group.
        lowest: the least value that the score can take.
        highest: the largest.

    Source: Efron & Stein 1981 (delete-group jackknife); Student's t with the `degrees_of_freedom` of the replicates.

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
    """2 G / (k - 1), at most G - 1, with the kurtosis k of G replicates: the fewer, the more a few rows decide.

    It is above 2 where that is below G - 1, as k is at most G - 2 + 1 / (G - 1).

    With this number the variance of a chi-squared variable is that of the replicates' variance (Satterthwaite 1946).

    Example:
        >>> degrees_of_freedom(np.array([-1.0, 1.0, -1.0, 1.0]))
        3.0
    """
    groups = replicates.shape[0]
    square = (replicates - replicates.mean()) ** 2
    variance, most = float(square.mean()), float(groups - 1)
    if variance == 0:
        return most
    # Squares are divided before they are squared again, which for tiny replicates would leave nothing.
    kurtosis = float(((square / variance) ** 2).mean())
    return min(most, 2 * groups / (kurtosis - 1)) if kurtosis > 1 else most


def probability_first_beats_second(first: ScoreValue, second: ScoreValue) -> float | None:
    """Probability, 0 to 1, that the first checkpoint's score is the higher one, over draws of the examples.

    Both read the same examples, so the replicates are paired, and what changes both scores alike cancels. Replicates of
    different number (another sample of the dataset) are treated as independent. None where either has fewer than two.
    It holds for two checkpoints named beforehand; `tied_with_best` allows for having picked the best of several.

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
    # Equal values and equal replicates would differ by zero but for rounding.
    rounding = 1e-12 * max(abs(first.value), abs(second.value))
    if error <= rounding:
        return 0.5 if abs(lead) <= rounding else float(lead > 0)
    freedom = degrees_of_freedom(a - b) if paired else min(degrees_of_freedom(a), degrees_of_freedom(b))
    return float(stdtr(freedom, lead / error))


def paired_probabilities(scores: Sequence[ScoreValue]) -> list[list[float | None]]:
    """(m, m) `probability_first_beats_second` of each of m checkpoints, by row, and each other one, by column.

    None on the diagonal, and where either has no replicates. A pair and its reverse add up to 1.

    Example:
        >>> a = ScoreValue(value=0.9, replicates=(0.89, 0.90, 0.91))
        >>> b = ScoreValue(value=0.7, replicates=(0.69, 0.70, 0.71))
        >>> paired_probabilities([a, b])
        [[None, 1.0], [0.0, None]]
    """
    found: list[list[float | None]] = [[None] * len(scores) for _ in scores]
    for row, first in enumerate(scores):
        for column in range(row + 1, len(scores)):
            found[row][column] = ahead = probability_first_beats_second(first, scores[column])
            found[column][row] = None if ahead is None else 1 - ahead
    return found


def tied_with_best(scores: Sequence[ScoreValue]) -> list[bool]:
    """Which of m checkpoints the examples cannot tell apart from the one of the highest score, itself among them.

    A checkpoint is tied unless its paired difference with the best is significant at 5% after Holm's correction over
    all m (m - 1) / 2 pairs. All pairs count, because the best was picked among the m: of checkpoints of equal merit
    none is called worse in 95% of draws, however many there are. Without replicates only equal values are tied.

    Source: Holm 1979; of his steps only those for pairs with the best are taken, which rejects no more.

    Example:
        >>> noise = np.array([-0.02, 0.0, 0.01, 0.01])
        >>> best, near, far = (
        ...     ScoreValue(value=v, replicates=tuple(v + sign * noise)) for v, sign in ((0.8, 1), (0.79, -1), (0.5, -1))
        ... )
        >>> tied_with_best([near, best, far])
        [True, True, False]
    """
    best = max(range(len(scores)), key=lambda index: scores[index].value)
    pairs = len(scores) * (len(scores) - 1) // 2
    tied = [True] * len(scores)
    by_chance = {index: _two_sided(scores[best], other) for index, other in enumerate(scores) if index != best}
    for step, index in enumerate(sorted(by_chance, key=by_chance.__getitem__)):
        if by_chance[index] > (1 - CONFIDENCE) / (pairs - step):
            break
        tied[index] = False
    return tied


def probability_best(scores: Sequence[ScoreValue], *, seed: int = 0) -> list[float] | None:
    """Of each of m checkpoints: the probability, 0 to 1, that it has the highest score, over draws of the examples.

    The scores are drawn together, about their values with the paired jackknife's covariance, so what changes all of
    them alike cancels. None where a score has no replicates, or as many as no other.

    Args:
        scores: (m) of checkpoints that read the same rows.
        seed: of the draws.

    Example:
        >>> noise = np.array([-0.02, 0.0, 0.01, 0.01])
        >>> best, near = (ScoreValue(value=v, replicates=tuple(v + s * noise)) for v, s in ((0.8, 1), (0.79, -1)))
        >>> [round(p, 1) for p in probability_best([best, near])]
        [0.6, 0.4]
    """
    groups = {len(score.replicates) for score in scores}
    if len(groups) != 1 or min(groups) < 2:
        return None
    errors = paired_errors(scores)
    # Normal weights of the groups have the jackknife's covariance, without a matrix of all pairs.
    draws = np.random.default_rng(seed).normal(size=(_DRAWS, errors.shape[1])) @ errors.T
    return [float(share) for share in share_of_firsts(draws + np.array([score.value for score in scores]))]


def paired_errors(scores: Sequence[ScoreValue]) -> Floats:
    """(m, G) a square root of the jackknife's covariance of m values; scores without replicates count as exact."""
    groups = max(2, *(len(score.replicates) for score in scores))
    errors = np.zeros((len(scores), groups))
    for row, score in enumerate(scores):
        replicates = np.array(score.replicates or (score.value,))
        errors[row, : len(replicates)] = (replicates - replicates.mean()) * np.sqrt((groups - 1) / groups)
    return errors


def share_of_firsts(draws: Floats) -> Floats:
    """(m,) in which share of the draws (n, m) each of m is the largest.

    Example:
        >>> share_of_firsts(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 5.0], [0.0, 1.0]])).tolist()
        [0.25, 0.75]
    """
    return np.asarray(np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws))


def _two_sided(best: ScoreValue, other: ScoreValue) -> float:
    """The probability of a difference as large as this one between checkpoints of equal merit."""
    ahead = probability_first_beats_second(best, other)
    if ahead is None:
        return 1.0 if best.value == other.value else 0.0
    return 2 * (1 - ahead)


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
