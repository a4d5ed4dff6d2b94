"""Linear probe: accuracy of multinomial logistic regression on frozen features, cross-validated.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016. Five stratified folds;
features standardised over all rows (labels play no part in that). The L2 penalty is the best of a few by the same
folds: one penalty for all would measure how well it suits a checkpoint's number of features, by up to ten points on a
few hundred columns. What choosing among so few adds to the accuracy is small beside its standard error.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.baseline import accuracy
from frontrunner.scores.sampling import deal_into_groups
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.symmetric import eigen
from frontrunner.statistics import Floats

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

LARGEST_SAMPLE = 2048
FOLDS = 5
# Inverse weights of the penalty, scikit-learn's C, the strongest first: each fit starts where the one before ended.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# The accuracy stands still long before the likelihood does.
_ROUNDS = 100
_TOLERANCE = 1e-3


def _estimate(case: ScoringInput) -> Estimate:
    rows = case.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    folds = deal_into_groups(codes, codes.size, FOLDS)
    features = _rotated(rows.features)
    models = {fold: _model() for fold in range(int(folds.max()) + 1)}
    best = np.zeros(codes.size, dtype=bool)
    for strength in STRENGTHS:
        correct = np.empty_like(best)
        for fold, model in models.items():
            held = folds == fold
            predicted = _fit_and_predict(model, strength, features[~held], codes[~held], features[held])
            correct[held] = predicted == codes[held]
        if correct.sum() < best.sum():
            break  # weaker penalties fit the noise, and take longest
        best = correct
    return accuracy(best, rows)


def _rotated(features: Floats) -> Floats:
    """Standardised by column and, for m < D, rotated into the m dimensions that the rows span: the same fit."""
    centred = features - features.mean(axis=0)
    spread = centred.std(axis=0)
    varying = spread > 1e-12 * np.abs(features).max(axis=0)
    standard = np.divide(centred, spread, out=np.zeros_like(centred), where=varying)
    if standard.shape[0] >= standard.shape[1]:
        return np.asarray(standard)
    values, vectors = eigen(standard @ standard.T)
    rotated: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return rotated


def _model() -> LogisticRegression:
    # Its import takes most of a second, which who asks for other scores need not wait for.
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(warm_start=True, max_iter=_ROUNDS, tol=_TOLERANCE)


def _fit_and_predict(
    model: LogisticRegression, strength: float, features: Floats, codes: NDArray[np.int64], held: Floats
) -> NDArray[np.int64]:
    if np.unique(codes).size < 2:
        return np.full(held.shape[0], codes[0])
    with warnings.catch_warnings():
        # Neither a likelihood that has not settled nor many small classes make an accuracy undefined.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(model.set_params(C=strength).fit(features, codes).predict(held), dtype=np.int64)


SCORE = Score(
    name="linear_probe",
    title="Linear probe accuracy",
    source="Alain & Bengio 2016",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1",
    cost="dear: five logistic regressions of at most 2,048 rows, at up to five penalties",
    explanation="Accuracy of a linear classifier on the frozen features, on examples it has not seen.",
    estimate=_estimate,
    lowest=0.0,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
    version=2,
)
