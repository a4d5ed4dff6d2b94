"""Ridge probe: leave-one-out accuracy (or R^2) of ridge regression on frozen features.

Each column has its own penalty: that of maximal evidence (LogME's alpha/beta on centred moments), so it is not tuned on
the accuracy that is reported. One penalty for all columns would fit none of them: a column without any signal asks for
a penalty that leaves nothing of the others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frontrunner.scores.baseline import losses_of, prediction_quality
from frontrunner.scores.leave_one_out import leave_one_out
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.moments import Moments
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import Rows, ScoringInput, require_varying_targets
from frontrunner.scores.spectrum import Eigenbasis, Spectrum, decompose
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 4096
# With D >= n the evidence may prefer no penalty at all. Leave-one-out residuals are then a ratio of two vanishing
# numbers; a penalty of a millionth of the mean squared singular value keeps ten of their digits.
_SMALLEST_PENALTY = 1e-6


def penalties_of(data: ScoringInput) -> Floats:
    """(C,) the ridge penalty of maximal evidence of each column: alpha/beta of a model with an intercept.

    It is 1 where no feature varies, and there any penalty would do.

    Raises:
        ScoreNotApplicable: no rows are at hand.
        InvalidFeatures: a target column is the same for every example.
    """
    return _penalties(_decomposition(data)[1])


def _decomposition(data: ScoringInput) -> tuple[Rows, Spectrum]:
    """The rows to predict, centred, and the spectrum of all rows."""
    n, mean = data.n, data.statistics.mean
    rows = data.fitted_rows(LARGEST_SAMPLE)
    target_mean = data.statistics.target_sum[data.columns] / n
    centred = replace(rows, features=rows.features - mean, outputs=rows.outputs - target_mean)
    if n <= data.dimension:
        return centred, Eigenbasis.of_rows(np.zeros_like(mean), centred.features, centred.outputs)
    return centred, decompose(_with_intercept(moments_of(data.statistics)))


def _with_intercept(moments: Moments) -> Moments:
    """The moments about the means, to which an intercept reduces a model."""
    return replace(
        moments,
        mean=np.zeros_like(moments.mean),
        target_mean=np.zeros_like(moments.target_mean),
        target_square=moments.target_square - moments.n * moments.target_mean**2,
    )


def _penalties(spectrum: Spectrum) -> Floats:
    evidence = maximise_evidence(spectrum)
    squared = spectrum.squared_singular_values
    smallest = _SMALLEST_PENALTY * float(squared.mean()) if squared.any() else 1.0
    return np.maximum(evidence.alpha / evidence.beta, smallest)


def estimate(data: ScoringInput) -> Estimate:
    """Leave-one-out accuracy, or R^2, of ridge regression with an intercept on one-hot labels or real targets.

    The residual of a row without itself is e / (1 - h), with its residual e and leverage h in the fit of all rows. For
    classes the intercept counts the row itself, so that features which tell nothing give the share of the largest
    class.

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
    penalties = _penalties(spectrum)
    residual, unseen = leave_one_out(spectrum, centred, penalties)
    # The intercept adds 1/n to the leverage; alone, it would leave a row the residual y n/(n - 1).
    alone = 1 - 1 / data.n
    by_features = centred.outputs - residual * (alone / np.maximum(unseen - 1 / data.n, np.finfo(np.float64).eps))
    rows = data.rows(centred.index.size)
    mean = data.statistics.target_sum[data.columns] / data.n
    # A mean without the row would put its class one short, and always last among classes of equal size.
    mean_without = mean if data.is_classification else mean - centred.outputs / (data.n - 1)
    predicted = mean_without + by_features / alone

    losses, seen = losses_of(predicted, rows), 1.0 - unseen
    if data.is_classification:
        return prediction_quality(losses, rows, leverage=float(seen.mean()))

    def trained() -> Floats:
        # Without row j the prediction of row i moves by -h_ij e_j / (1 - h_j), and its squared error in proportion. The
        # row's own part, h_jj, is in its own error.
        error = rows.outputs - predicted
        moved = centred.features @ spectrum.solve(centred.features.T @ error, penalties) - seen * error
        return 2.0 * error * moved

    return prediction_quality(losses, rows, trained)


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
    version=2,
)
