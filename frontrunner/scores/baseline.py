"""What the baseline predictors share: the quality of predictions for rows that were left out, and its influence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.score import Estimate
from frontrunner.scores.scoring_input import Rows
from frontrunner.statistics import Floats


def losses_of(predicted: Floats, rows: Rows) -> Floats:
    """(m, 1) whether the predicted class of each row is wrong, or (m, K) squared errors of real targets.

    Args:
        predicted: (m, C), the largest value of a row marks its predicted class; or (m, K) predicted targets.
        rows: the m rows that were predicted.
    """
    if rows.codes is not None:
        return np.asarray(predicted.argmax(axis=1) != rows.codes, dtype=np.float64)[:, None]
    return np.asarray((rows.outputs - predicted) ** 2)


def prediction_quality(
    losses: Floats, rows: Rows, trained: Callable[[], Floats] | None = None, leverage: float = 0.0
) -> Estimate:
    """Accuracy (0 to 1) or R^2 (at most 1, averaged over columns) of predictions, from `losses_of` them.

    Args:
        losses: (m, 1) or (m, K).
        rows: the m rows that were predicted.
        trained: computes, in the shape of `losses`, by how much the losses of all other rows grow in sum if the
            predictor has not seen the row. None: the row counts only as one that is predicted.
        leverage: the mean leverage of a row in a linear classifier's fit, 0 to 1. The squares of the correlations of
            one prediction with all others add up to about as much, and the variance is larger by that share.
    """
    m = losses.shape[0]
    spread = _spread(rows)
    total = np.maximum(spread.sum(axis=0), np.finfo(np.float64).tiny)
    value = float(1.0 - (losses.sum(axis=0) / total).mean())

    def influence() -> Influence:
        others = losses.sum(axis=0) - losses + (trained() if trained is not None else 0.0)
        # Without a row of real targets their mean moves as well: the sum of squares about it falls by m / (m - 1) of
        # the row's own.
        weight = 1.0 if rows.codes is not None else m / (m - 1)
        left = np.maximum(total - weight * spread, np.finfo(np.float64).eps * total)
        found = Influence.of_leaving_out(1.0 - (others / left).mean(axis=1), rows.index)
        return replace(found, changes=found.changes * sqrt(1.0 + leverage))

    return Estimate(value, value, influence)


def _spread(rows: Rows) -> Floats:
    """What losses are measured against: (m, 1) ones, or (m, K) squared distances from the mean of real targets."""
    if rows.codes is not None:
        return np.ones((rows.codes.size, 1))
    return np.asarray((rows.outputs - rows.outputs.mean(axis=0)) ** 2)
