"""SFDA: self-challenging Fisher discriminant analysis.

The authors' code stops the power iteration for the largest eigenvalue s after three rounds. That is up to a tenth too
small, and changes the shrinkage k. Here s is the eigenvalue.
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
# exp(-5 s) underflows for features with a large scale; the authors' code has the same limit.
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
    """The shrinkage k = exp(-5 s), 1e-10 to 1, with s the largest eigenvalue of the within-class covariance.

    Args:
        features: (m, D).
        codes: (m,) classes 0 .. C - 1, each of which occurs.
    """
    within = _within(features, codes, _means(features, codes, np.bincount(codes).astype(np.float64)))
    largest = _largest_eigenvalue(within) if within.any() else 0.0
    return max(float(np.exp(-5.0 * max(largest, 0.0))), SMALLEST_SHRINKAGE)


def _fisher_posterior(features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Floats:
    """(m, C) p(y | x) of the regularised Fisher discriminant fitted to rows (m, D), for the same rows."""
    counts = np.bincount(codes).astype(np.float64)
    means = _means(features, codes, counts)
    covariance = _within(features, codes, means)
    scale = float(np.trace(covariance)) / covariance.shape[0]
    # Where classes have no spread, the plain distance to their means decides.
    floor = 1e-12 * float((features**2).mean()) or 1.0
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices_from(covariance)] += max(shrinkage * scale, floor if scale <= floor else 0.0)
    directions = cho_solve(cho_factor(covariance, lower=True, overwrite_a=True), means.T)
    bias = np.log(counts / codes.size) - 0.5 * np.einsum("cd,dc->c", means, directions)
    return np.asarray(softmax(features @ directions + bias, axis=1))


def self_challenging_posterior(features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Floats:
    """(m,) p(y_i | x_i) after confidence mixing; its mean is the score.

    Args:
        features: (m, D).
        codes: (m,) classes 0 .. C - 1, each of which occurs.
        shrinkage: k, from `adaptive_shrinkage`.
    """
    counts = np.bincount(codes).astype(np.float64)
    own = np.arange(codes.size), codes
    sure = softmax(_fisher_posterior(features, codes, shrinkage), axis=1)[own][:, None]
    means = _means(features, codes, counts)
    others = (means.sum(axis=0) - means) / (counts.size - 1)
    mixed = sure * features + (1.0 - sure) * others[codes]
    return np.asarray(_fisher_posterior(mixed, codes, shrinkage)[own])


def estimate(data: ScoringInput) -> Estimate:
    """The mean of p(y_i | x_i) under a Fisher discriminant, after rows were moved towards the other classes.

    1. A Fisher discriminant with the within-class covariance (1 - k) S_W + k tr(S_W)/D I, where k = exp(-5 s) and s is
       the largest eigenvalue of S_W; p(y | x) is the softmax of the discriminants.
    2. Confidence mixing: x <- p x + (1 - p) m_other, where p is the softmax of p(y | x) at the row's own class and
       m_other the mean of the other classes' means. Rows of low confidence move most.
    3. A second discriminant with the same k on the mixed rows.

    Args:
        data: at most 4,096 rows of (n, D) features with their classes are read.

    Returns:
        0 to 1.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: Shao et al., "Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher
    Space", ECCV 2022.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = np.arange(40) % 2
        >>> noise = np.random.default_rng(0).normal(size=(40, 3))
        >>> score("sfda", noise, labels) < score("sfda", noise + 10 * labels[:, None], labels)
        True
    """
    rows = data.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    # A common offset does not change the score, but it costs digits.
    features = rows.features - rows.features.mean(axis=0)
    terms = self_challenging_posterior(features, codes, adaptive_shrinkage(features, codes))
    value = float(terms.mean())
    return Estimate(value, value, lambda: leave_group_out_of_mean(terms, rows.groups))


SCORE = Score(
    name="sfda",
    title="SFDA",
    citation="Shao et al., ECCV 2022",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1",
    cost="two discriminants of at most 4,096 rows, 2 m D^2",
    explanation="How surely a linear discriminant still finds your classes after hard examples were made harder.",
    estimate=estimate,
    lowest=0.0,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
)
