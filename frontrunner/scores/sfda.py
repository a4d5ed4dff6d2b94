"""SFDA: self-challenging Fisher discriminant analysis.

Shao et al., "Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher Space", ECCV 2022.
1. Regularised Fisher discriminant: within-class covariance S_W shrunk to (1 - k) S_W + k tr(S_W)/D I, k = exp(-5 s), s
   its largest eigenvalue; p(y | x) by softmax of the discriminants.
2. Confidence mixing: each row is pulled towards the mean of the other classes' means, the more so the less sure of it
   the discriminant is, x <- p x + (1 - p) m_other, with p softened by a second softmax.
3. A second discriminant with the same k on the mixed rows; the score is the mean of p(y | x).

The authors' code takes three rounds of a power iteration for s and calls that the largest eigenvalue: it falls
short by up to a tenth, which moves k. Here s is the eigenvalue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import eigsh
from scipy.special import softmax

from frontrunner.scores.intervals import leave_group_out_of_mean
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 4096
# exp(-5 s) of features with a large scale is nothing at all; the authors' code stops at 1e-10 as well.
SMALLEST_SHRINKAGE = 1e-10
_DENSE_BELOW = 64


def _largest_eigenvalue(covariance: Floats) -> float:
    if covariance.shape[0] <= _DENSE_BELOW:
        return float(np.linalg.eigvalsh(covariance)[-1])
    start = np.ones(covariance.shape[0])
    return float(eigsh(covariance, k=1, v0=start, return_eigenvectors=False)[0])


def _within(features: Floats, codes: NDArray[np.int64], means: Floats) -> Floats:
    centred = features - means[codes]
    return np.asarray(centred.T @ centred / codes.size)


def _means(features: Floats, codes: NDArray[np.int64], counts: Floats) -> Floats:
    one_hot = np.eye(counts.size)[codes]
    return np.asarray(one_hot.T @ features / counts[:, None])


def adaptive_shrinkage(features: Floats, codes: NDArray[np.int64]) -> float:
    """k = exp(-5 s) of rows (m, D) with classes `codes` (m,), between 1e-10 and 1."""
    within = _within(features, codes, _means(features, codes, np.bincount(codes).astype(np.float64)))
    largest = _largest_eigenvalue(within) if within.any() else 0.0
    return max(float(np.exp(-5.0 * max(largest, 0.0))), SMALLEST_SHRINKAGE)


def fisher_posterior(features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Floats:
    """(m, C) p(y | x) of the regularised Fisher discriminant fitted to rows (m, D), for the same rows."""
    counts = np.bincount(codes).astype(np.float64)
    means = _means(features, codes, counts)
    covariance = _within(features, codes, means)
    scale = float(np.trace(covariance)) / covariance.shape[0]
    # Classes without any spread of their own are judged by distance alone.
    floor = 1e-12 * float((features**2).mean()) or 1.0
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices_from(covariance)] += max(shrinkage * scale, floor if scale <= floor else 0.0)
    directions = cho_solve(cho_factor(covariance, lower=True, overwrite_a=True), means.T)
    bias = np.log(counts / codes.size) - 0.5 * np.einsum("cd,dc->c", means, directions)
    return np.asarray(softmax(features @ directions + bias, axis=1))


def self_challenging_posterior(features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Floats:
    """(m,) p(y_i | x_i) after confidence mixing: the score is its mean.

    Args:
        features: (m, D).
        codes: (m,) classes 0 .. C - 1, each of which occurs.
        shrinkage: k, see `adaptive_shrinkage`.
    """
    counts = np.bincount(codes).astype(np.float64)
    own = np.arange(codes.size), codes
    sure = softmax(fisher_posterior(features, codes, shrinkage), axis=1)[own][:, None]
    means = _means(features, codes, counts)
    others = (means.sum(axis=0) - means) / (counts.size - 1)
    mixed = sure * features + (1.0 - sure) * others[codes]
    return np.asarray(fisher_posterior(mixed, codes, shrinkage)[own])


def _estimate(case: ScoringInput) -> Estimate:
    rows = case.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    # A common offset changes nothing in exact arithmetic and costs digits.
    features = rows.features - rows.features.mean(axis=0)
    terms = self_challenging_posterior(features, codes, adaptive_shrinkage(features, codes))
    value = float(terms.mean())
    return Estimate(value, value, lambda: leave_group_out_of_mean(terms, rows.groups))


SCORE = Score(
    name="sfda",
    title="SFDA",
    source="Shao et al., ECCV 2022",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1",
    cost="two discriminants of at most 4,096 rows, 2 m D^2",
    explanation="How surely a linear discriminant still finds your classes after hard examples were made harder.",
    estimate=_estimate,
    lowest=0.0,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
)
