"""How much each row adds to a score, and the replicates of the score that follow.

Every score gives a row's influence: the value less the value without the row, or the derivative of the value by the
row's weight. This is the jackknife, whose variance is on average not too small (Efron & Stein 1981). `replicates` is
the one place where influences are summed over groups of rows, and where the draw counts: under `within_classes` only
the differences between rows of one class remain, as class counts are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats


@dataclass(frozen=True)
class Influence:
    """How much each of m rows adds to a score.

    Attributes:
        changes: (m,) up to a constant: (x_i - mean) / n for a mean.
        index: (m,) which rows, ascending; None for all.
        whole: whether the score is computed from all n rows, and the m are a sample of them for the interval. Otherwise
            the score is computed from the m rows alone.
        starts: (S,) the score of the same rows from other random starts, where a fit has several optima: the one that
            is found counts as drawn, too, and independently for each checkpoint.
    """

    changes: Floats
    index: NDArray[np.int64] | None = None
    whole: bool = False
    starts: tuple[float, ...] = ()

    @classmethod
    def on_mean(cls, terms: Floats, index: NDArray[np.int64] | None = None) -> Influence:
        """Of each row on the mean of `terms` (m,).

        Example:
            >>> Influence.on_mean(np.array([1.0, 2.0, 6.0])).changes.tolist()
            [-0.6666666666666666, -0.3333333333333333, 1.0]
        """
        return cls((terms - terms.mean()) / terms.shape[0], index)

    @classmethod
    def of_leaving_out(cls, without: Floats, index: NDArray[np.int64] | None = None) -> Influence:
        """From the score without each row, (m,)."""
        return cls((without.mean() - without) * (1 - 1 / without.shape[0]), index)


def replicates(value: float, influence: Influence, data: ScoringInput) -> Floats:
    """(G,) the score without each group of rows, to first order; groups and draw are those of `data`.

    Example:
        >>> from frontrunner.scores import shard_of
        >>> shard = shard_of(np.array([[1.0], [2.0], [6.0]]), [0, 1, 1])
        >>> data = ScoringInput(shard.statistics(), [shard])
        >>> sorted(replicates(3.0, Influence.on_mean(np.array([1.0, 2.0, 6.0])), data).tolist())
        [1.5, 3.5, 4.0]
    """
    index = np.arange(data.n) if influence.index is None else influence.index
    m, changes = index.size, influence.changes - influence.changes.mean()
    if data.codes is not None:
        codes = data.codes[index]
        counts = np.maximum(np.bincount(codes), 1)
        between = (np.bincount(codes, weights=changes) / counts)[codes]
        if data.draw == "within_classes":
            changes = (changes - between) * np.sqrt(counts / np.maximum(counts - 1, 1))[codes]
        elif not influence.whole and data.clusters is None:
            # A stratified sample has the class shares of all n rows, so these vary less than those of m drawn rows.
            changes -= between * (1 - sqrt(m / data.n))
    groups = data.groups[index]
    sizes = np.bincount(groups, minlength=data.group_count)
    moved = np.bincount(groups, weights=changes, minlength=data.group_count) * m / np.maximum(m - sizes, 1)
    found = value - moved * sqrt(data.n / m if influence.whole else 1.0)
    return np.asarray(found + _between_starts(np.array([value, *influence.starts]), data.group_count))


def _between_starts(values: Floats, groups: int) -> Floats:
    """(G,) zero on average, with the jackknife variance that `values` (S,) have; zero for a single one."""
    if values.size < 2 or groups < 2:
        return np.zeros(groups)
    scale = sqrt(values.size / ((values.size - 1) * (groups - 1)))
    return np.asarray(scale * np.resize(values - values.mean(), groups))
