"""How the baselines (kNN, LDA, the probes) are scored: by their predictions for rows they were not fitted to.

Classes are scored by accuracy, real targets by R^2 averaged over columns. The interval is over the rows predicted;
it leaves out how the predictor itself depends on the draw of its training rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.intervals import leave_group_out, leave_group_out_of_mean
from frontrunner.scores.score import Estimate
from frontrunner.scores.scoring_input import Rows, ScoringInput
from frontrunner.statistics import Floats


def accuracy(hits: NDArray[np.bool_], rows: Rows) -> Estimate:
    """Share of `rows` whose class was predicted, 0 to 1.

    Args:
        hits: (m,) whether the class of each row was predicted.
        rows: the rows that were predicted.
    """
    terms = hits.astype(np.float64)
    value = float(terms.mean())
    return Estimate(value, value, lambda: leave_group_out_of_mean(terms, rows.groups))


def _explained_variance(error: Floats, rows: Rows) -> Estimate:
    """R^2 of the targets of `rows`, averaged over columns, from (m, K) prediction errors."""
    squares, spread = error**2, (rows.outputs - rows.outputs.mean(axis=0)) ** 2
    total = np.maximum(spread.sum(axis=0), np.finfo(np.float64).tiny)
    missed = squares.sum(axis=0) / total
    value = float(1.0 - missed.mean())
    influence = ((missed * spread - squares) / total).mean(axis=1)
    return Estimate(value, value, lambda: leave_group_out(value, influence, rows.groups))


def prediction_quality(predicted: Floats, rows: Rows, data: ScoringInput) -> Estimate:
    """Accuracy (0 to 1) of predicted classes, or R^2 (at most 1) of predicted real targets.

    Args:
        predicted: (m, C), the largest value of a row marks its predicted class; or (m, K) predicted targets.
        rows: the m rows that were predicted.
        data: what the rows were read from.
    """
    if data.is_classification:
        return accuracy(np.asarray(predicted.argmax(axis=1) == rows.codes), rows)
    return _explained_variance(rows.outputs - predicted, rows)
