"""How well a prediction orders checkpoints as fine-tuning does: rank correlations and regret.

All functions take predictions and measured results of the same checkpoints, both "higher is better". A prediction may
be a score, a rank counted upwards, a prior: only its order counts.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from frontrunner.evidence.errors import EvidenceError, NothingToOrder


def weighted_tau(predicted: ArrayLike, measured: ArrayLike) -> float:
    """Weighted Kendall correlation of two orders; a pair counts for more the nearer to the top its members are.

    A pair of ranks r and s (from 0) has weight 1/(r + 1) + 1/(s + 1). Ranks are taken once by the prediction and once
    by the result, and the two correlations are averaged: scipy's default. Papers that rank by one of the two only
    report other figures on the same numbers. Pairs that are tied in one of the orders count as in Kendall's tau-b.

    Args:
        predicted: (n,), finite, any unit. One value for all says nothing: the answer is 0.
        measured: (n,), finite, any unit, at least two distinct values.

    Returns:
        -1 (reversed) to 1 (the same order).

    Raises:
        NothingToOrder: fewer than two distinct results.
        EvidenceError: shapes differ, or a value is not finite.

    Source:
        Vigna, "A weighted correlation index for rankings with ties", WWW 2015: the additive hyperbolic index.

    Example:
        >>> weighted_tau([3, 2, 1], [0.9, 0.8, 0.7])
        1.0
        >>> round(weighted_tau([2, 3, 1], [0.9, 0.8, 0.7]), 3)  # a mistake at the top
        0.182
        >>> round(weighted_tau([3, 1, 2], [0.9, 0.8, 0.7]), 3)  # a mistake at the bottom
        0.545
    """
    x, y = _checked(predicted, measured)
    return 0.0 if np.ptp(x) == 0 else float(stats.weightedtau(x, y).statistic)


def kendall_tau(predicted: ArrayLike, measured: ArrayLike) -> float:
    """Kendall's tau-b of two orders; arguments, range and errors as of `weighted_tau`.

    Source:
        Kendall, "The treatment of ties in ranking problems", Biometrika 1945.

    Example:
        >>> round(kendall_tau([2, 3, 1], [0.9, 0.8, 0.7]), 3)
        0.333
    """
    x, y = _checked(predicted, measured)
    return 0.0 if np.ptp(x) == 0 else float(stats.kendalltau(x, y).statistic)


def regret(predicted: ArrayLike, measured: ArrayLike, top: int = 1) -> float:
    """What is lost by trying only the `top` checkpoints that are predicted best, and keeping the best of those.

    The best result of all minus the best among the chosen. Checkpoints whose predictions are equal are chosen among at
    random: the answer is the mean over all choices, and does not depend on the order of the rows.

    Args:
        predicted: (n,), finite, any unit.
        measured: (n,), finite.
        top: how many are tried, at least 1; all of them where it is n or more.

    Returns:
        0 or more, in the unit of `measured`.

    Raises:
        EvidenceError: no checkpoint, shapes differ, a value is not finite, or `top` is below 1.

    Example:
        >>> round(regret([1, 3, 2], [0.9, 0.8, 0.7]), 3)
        0.1
        >>> round(regret([1, 3, 2], [0.9, 0.8, 0.7], top=3), 3)
        0.0
        >>> round(regret([1, 1, 1], [0.9, 0.8, 0.7]), 3)  # a pick at random
        0.1
    """
    x, y = _finite(predicted, measured)
    if not y.size:
        raise EvidenceError("regret needs at least one checkpoint, got none")
    if top < 1:
        raise EvidenceError(f"top must be at least 1, got {top}")
    top = min(top, y.size)
    threshold = np.sort(x)[-top]
    certain, tied = y[x > threshold], np.sort(y[x == threshold])[::-1]
    drawn = top - certain.size
    # The largest of the drawn is the i-th of the tied where it is drawn and all others come from those below it.
    choices = np.array([comb(tied.size - 1 - i, drawn - 1) for i in range(tied.size)], dtype=np.float64)
    largest = np.maximum(tied, certain.max(initial=-np.inf))
    return max(0.0, float(y.max() - choices @ largest / choices.sum()))


def _checked(predicted: ArrayLike, measured: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _finite(predicted, measured)
    if np.unique(y).size < 2:
        raise NothingToOrder(f"an order needs two distinct results, got {y.size} checkpoints with at most one result")
    return x, y


def _finite(predicted: ArrayLike, measured: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise EvidenceError(
            f"one prediction and one result a checkpoint are needed, got shapes {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EvidenceError("predictions and results must be finite; leave out the checkpoints that lack one")
    return x, y
