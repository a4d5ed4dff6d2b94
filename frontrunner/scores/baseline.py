"""What the honest baselines have in common: predictions for rows that the predictor had not seen, and their quality.

Classes are judged by accuracy, real targets by R^2 averaged over columns. The interval is over the rows predicted;
the predictor's own dependence on the draw of its training rows is not in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.intervals import leave_group_out, leave_group_out_of_mean
from frontrunner.scores.score import Estimate
from frontrunner.scores.scoring_input import Rows, ScoringInput
from frontrunner.statistics import Floats


def accuracy(hits: NDArray[np.bool_], rows: Rows) -> Estimate:
    """Share of `rows` whose class was predicted, from (m,) hit or miss."""
    terms = hits.astype(np.float64)
    value = float(terms.mean())
    return Estimate(value, value, lambda: leave_group_out_of_mean(terms, rows.groups))


def explained_variance(error: Floats, rows: Rows) -> Estimate:
    """R^2 of the targets of `rows`, averaged over columns, from (m, K) errors of prediction."""
    squares, spread = error**2, (rows.outputs - rows.outputs.mean(axis=0)) ** 2
    total = np.maximum(spread.sum(axis=0), np.finfo(np.float64).tiny)
    missed = squares.sum(axis=0) / total
    value = float(1.0 - missed.mean())
    influence = ((missed * spread - squares) / total).mean(axis=1)
    return Estimate(value, value, lambda: leave_group_out(value, influence, rows.groups))


def judge(predicted: Floats, rows: Rows, case: ScoringInput) -> Estimate:
    """Accuracy of the largest of (m, C) class values, or R^2 of (m, K) predicted targets."""
    if case.is_classification:
        return accuracy(np.asarray(predicted.argmax(axis=1) == rows.codes), rows)
    return explained_variance(rows.outputs - predicted, rows)
