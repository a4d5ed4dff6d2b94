"""Ridge probe: leave-one-out accuracy (or R^2) of ridge regression on frozen features.

Hoerl & Kennard 1970; exact leave-one-out residuals e / (1 - h) after Allen 1974. Targets are one-hot labels or the real
targets, with an intercept. The penalty is the evidence's own choice (LogME's alpha/beta on centred moments, geometric
mean over columns), so nothing is tuned on what is judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frontrunner.scores.baseline import judge
from frontrunner.scores.logme import leave_one_out, maximise_evidence
from frontrunner.scores.scatter import total_scatter
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import Rows, ScoringInput, require_varying_targets
from frontrunner.scores.spectrum import Moments, Spectrum, decompose
from frontrunner.statistics import FeatureStatistics

LARGEST_SAMPLE = 4096
# With D >= n the evidence may prefer no penalty at all; a millionth of the mean squared singular value keeps the
# leave-one-out residuals, a ratio of two vanishing numbers, to ten digits.
_SMALLEST_PENALTY = 1e-6


def centred_moments(statistics: FeatureStatistics) -> Moments:
    """Second moments about the means: those of a model with an intercept."""
    n = statistics.n
    columns = np.ones(statistics.cross.shape[1], dtype=bool)
    if statistics.classes is not None:
        columns = statistics.target_sum > 0.5
    target_sum = statistics.target_sum[columns]
    cross = statistics.cross[:, columns] - np.outer(statistics.feature_sum / n, target_sum)
    square = statistics.target_square_sum[columns] - target_sum**2 / n
    return Moments(n, total_scatter(statistics), cross, square)


def penalty_of(case: ScoringInput) -> float:
    """The ridge penalty that the evidence prefers, one for all columns: the geometric mean of alpha/beta."""
    return _penalty(_decomposition(case)[1])


def _decomposition(case: ScoringInput) -> tuple[Rows, Spectrum]:
    """The rows to be judged, centred, and the spectrum of all of them."""
    statistics, n = case.statistics, case.n
    rows = case.rows(n if n <= case.dimension else LARGEST_SAMPLE)
    centred = replace(
        rows,
        features=rows.features - statistics.feature_sum / n,
        outputs=rows.outputs - statistics.target_sum[case.columns] / n,
    )
    moments = centred_moments(statistics)
    if n <= case.dimension:
        moments = replace(moments, features=centred.features, outputs=centred.outputs)
    return centred, decompose(moments)


def _penalty(spectrum: Spectrum) -> float:
    evidence = maximise_evidence(spectrum)
    squared = spectrum.squared_singular_values
    smallest = _SMALLEST_PENALTY * float(squared.mean()) if squared.any() else 1.0
    return max(float(np.exp(np.log(evidence.alpha / evidence.beta).mean())), smallest)


def _estimate(case: ScoringInput) -> Estimate:
    if not case.is_classification:
        require_varying_targets(case.statistics)
    centred, spectrum = _decomposition(case)
    residual, unseen = leave_one_out(spectrum, centred, np.full(case.class_count, _penalty(spectrum)))
    # The intercept has a leverage of 1/n of its own.
    error = residual / np.maximum(unseen - 1 / case.n, np.finfo(np.float64).eps)
    rows = replace(centred, outputs=centred.outputs + case.statistics.target_sum[case.columns] / case.n)
    return judge(rows.outputs - error, rows, case)


SCORE = Score(
    name="ridge_probe",
    title="Ridge probe accuracy",
    source="Hoerl & Kennard 1970; Allen 1974",
    needs="features",
    tasks=EVERY_TASK,
    range="0 to 1 (accuracy); up to 1 (R^2)",
    cost="one pass; one tridiagonal reduction, and D^2 for each of at most 4,096 rows",
    explanation="Accuracy of ridge regression on the frozen features, on examples it has not seen.",
    estimate=_estimate,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
)
