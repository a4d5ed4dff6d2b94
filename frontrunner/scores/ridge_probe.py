"""Ridge probe: leave-one-out accuracy (or R^2) of ridge regression on frozen features.

The penalty comes from the evidence (LogME's alpha/beta on centred moments, geometric mean over columns), so it is not
tuned on the accuracy that is reported.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frontrunner.scores.baseline import losses_of, prediction_quality
from frontrunner.scores.leave_one_out import leave_one_out
from frontrunner.scores.logme import maximise_evidence
from frontrunner.scores.scatter import total_scatter
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import Rows, ScoringInput, require_varying_targets
from frontrunner.scores.spectrum import Moments, Spectrum, decompose
from frontrunner.statistics import FeatureStatistics

LARGEST_SAMPLE = 4096
# With D >= n the evidence may prefer no penalty at all. Leave-one-out residuals are then a ratio of two vanishing
# numbers; a penalty of a millionth of the mean squared singular value keeps ten of their digits.
_SMALLEST_PENALTY = 1e-6


def _centred_moments(statistics: FeatureStatistics) -> Moments:
    """Second moments about the means, which a model with an intercept has."""
    n = statistics.n
    columns = np.ones(statistics.cross.shape[1], dtype=bool)
    if statistics.classes is not None:
        columns = statistics.target_sum > 0.5
    target_sum = statistics.target_sum[columns]
    cross = statistics.cross[:, columns] - np.outer(statistics.feature_sum / n, target_sum)
    square = statistics.target_square_sum[columns] - target_sum**2 / n
    return Moments(n, total_scatter(statistics), cross, square)


def penalty_of(data: ScoringInput) -> float:
    """The ridge penalty of maximal evidence, one for all columns: the geometric mean of alpha/beta over columns.

    Raises:
        ScoreNotApplicable: no rows are at hand.
        InvalidFeatures: a target column is the same for every example.
    """
    return _penalty(_decomposition(data)[1])


def _decomposition(data: ScoringInput) -> tuple[Rows, Spectrum]:
    """The rows to predict, centred, and the spectrum of all rows."""
    statistics, n = data.statistics, data.n
    rows = data.rows(n if n <= data.dimension else LARGEST_SAMPLE)
    centred = replace(
        rows,
        features=rows.features - statistics.feature_sum / n,
        outputs=rows.outputs - statistics.target_sum[data.columns] / n,
    )
    moments = _centred_moments(statistics)
    if n <= data.dimension:
        moments = replace(moments, features=centred.features, outputs=centred.outputs)
    return centred, decompose(moments)


def _penalty(spectrum: Spectrum) -> float:
    evidence = maximise_evidence(spectrum)
    squared = spectrum.squared_singular_values
    smallest = _SMALLEST_PENALTY * float(squared.mean()) if squared.any() else 1.0
    return max(float(np.exp(np.log(evidence.alpha / evidence.beta).mean())), smallest)


def estimate(data: ScoringInput) -> Estimate:
    """Leave-one-out accuracy, or R^2, of ridge regression with an intercept on one-hot labels or real targets.

    The residual of a row without itself is e / (1 - h), with its residual e and leverage h in the fit of all rows.

    Args:
        data: sums over (n, D) features, and at most 4,096 rows to predict (all n where n <= D); any task.

    Returns:
        0 to 1 for classes; at most 1, and possibly negative, for real targets (R^2, averaged over columns).

    Raises:
        ScoreNotApplicable: no rows are at hand.
        InvalidFeatures: a column of real targets is the same for every example.

    Source: Hoerl & Kennard 1970; Allen 1974 for the leave-one-out residuals.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.random.default_rng(0).normal(size=(30, 3))
        >>> targets = features @ [1.0, -2.0, 0.5] + 4.0  # linear in the features, with an intercept
        >>> round(score("ridge_probe", features, targets), 6)
        1.0
    """
    if not data.is_classification:
        require_varying_targets(data.statistics)
    centred, spectrum = _decomposition(data)
    residual, unseen = leave_one_out(spectrum, centred, np.full(data.class_count, _penalty(spectrum)))
    # The intercept adds 1/n to the leverage.
    error = residual / np.maximum(unseen - 1 / data.n, np.finfo(np.float64).eps)
    rows = replace(centred, outputs=centred.outputs + data.statistics.target_sum[data.columns] / data.n)
    return prediction_quality(losses_of(rows.outputs - error, rows), rows)


SCORE = Score(
    name="ridge_probe",
    title="Ridge probe accuracy",
    citation="Hoerl & Kennard 1970; Allen 1974",
    needs="features",
    tasks=EVERY_TASK,
    range="0 to 1 (accuracy); up to 1 (R^2)",
    cost="one pass; one tridiagonal reduction, and D^2 for each of at most 4,096 rows",
    explanation="Accuracy of ridge regression on the frozen features, on examples it has not seen.",
    estimate=estimate,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
)
