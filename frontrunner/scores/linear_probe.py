"""Linear probe: cross-validated accuracy of multinomial logistic regression on frozen features.

The L2 penalty is the best of a few by the same folds. One penalty for all checkpoints would measure how well it suits
their number of features, by up to ten points of accuracy on a few hundred columns. The choice among so few penalties
raises the accuracy by little beside its standard error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.baseline import prediction_quality
from frontrunner.scores.logistic_folds import held_out_predictions
from frontrunner.scores.sampling import stratified_folds
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 2048
FOLDS = 5
# Inverse weights of the penalty, scikit-learn's C, the strongest first: each fit starts where the one before ended.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def estimate(data: ScoringInput) -> Estimate:
    """Accuracy of logistic regression on rows it was not fitted to, over five stratified folds.

    Features are standardised over all rows, which uses no labels. Of five L2 penalties the one of the best
    cross-validated accuracy counts.

    Args:
        data: at most 2,048 rows of (n, D) features with their classes are read.

    Returns:
        0 to 1.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = np.arange(40) % 2
        >>> noise = np.random.default_rng(0).normal(size=(40, 3))
        >>> score("linear_probe", noise + 10 * labels[:, None], labels)
        1.0
    """
    rows = data.rows(LARGEST_SAMPLE)
    chosen, predicted = data.once(_chosen)
    leverage = _mean_leverage(predicted.size, data.dimension, chosen)
    return prediction_quality((predicted != rows.codes).astype(np.float64)[:, None], rows, leverage=leverage)


def held_out(data: ScoringInput) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(m,) true and (m,) predicted class of each row that the probe reads, predicted while its fold was held out.

    Raises:
        ScoreNotApplicable: no rows are at hand.
    """
    return np.asarray(data.rows(LARGEST_SAMPLE).codes), data.once(_chosen)[1]


def best_strength(
    features: NDArray[np.float32], codes: NDArray[np.int64], folds: NDArray[np.int64]
) -> tuple[float, NDArray[np.int64]]:
    """The penalty that does best on rows held out, the weakest of equals, and the predictions under it.

    Args:
        features: (n, D) standardised.
        codes: (n,) class of each row.
        folds: (n,) fold in which each row is held out.

    Returns:
        One of `STRENGTHS`, and (n,) predicted classes.
    """
    predicted = held_out_predictions(features, codes, folds, STRENGTHS)
    best = max(range(len(STRENGTHS)), key=lambda place: (np.count_nonzero(predicted[place] == codes), STRENGTHS[place]))
    return STRENGTHS[best], predicted[best]


def _chosen(data: ScoringInput) -> tuple[float, NDArray[np.int64]]:
    rows = data.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    return best_strength(_standardised(rows.features), codes, stratified_folds(codes, FOLDS, rows.clusters))


def _mean_leverage(m: int, dimension: int, strength: float) -> float:
    """0 to 1, of m rows of standardised features: at most, as if all eigenvalues were equal and all p(1 - p) 1/4.

    Example:
        >>> _mean_leverage(100, 10, 1.0)  # 10 parameters of 100 rows, hardly shrunk: 10 / 100 * 25 / 26
        0.09615384615384616
    """
    rank = min(m, dimension)
    curvature = 0.25 * m * dimension / rank
    return rank / m * curvature / (curvature + 1.0 / strength)


def _standardised(features: Floats) -> NDArray[np.float32]:
    """`features` (n, D) with columns of mean 0 and variance 1; those that do not vary are 0."""
    centred = features - features.mean(axis=0)
    spread = np.sqrt(np.einsum("nd,nd->d", centred, centred) / centred.shape[0])
    largest = np.maximum(features.max(axis=0), -features.min(axis=0))
    varying = spread > 1e-12 * largest
    centred *= np.divide(1.0, spread, out=np.zeros_like(spread), where=varying)
    return np.asarray(centred, dtype=np.float32)


SCORE = Score(
    name="linear_probe",
    title="Linear probe accuracy",
    citation="Alain & Bengio 2016",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1",
    cost="about fifty products of all classes with the inner products of at most 2,048 rows, for five folds",
    explanation="Accuracy of a linear classifier on the frozen features, on examples it has not seen.",
    estimate=estimate,
    lowest=0.0,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
    version=4,
)
