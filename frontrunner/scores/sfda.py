"""SFDA: self-challenging Fisher discriminant analysis.

The authors' code stops the power iteration for the largest eigenvalue s after three rounds. That is up to a tenth too
small, and changes the shrinkage k. Here s is the eigenvalue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import softmax

from frontrunner.scores.influence import Influence
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


def _leading_direction(within: Floats) -> Floats:
    """(D,) the unit vector along which rows (m, D) about their class means vary most."""
    dimension = within.shape[1]
    if dimension <= _DENSE_BELOW:
        return np.asarray(np.linalg.eigh(within.T @ within)[1][:, -1])
    product = LinearOperator((dimension, dimension), matvec=lambda v: within.T @ (within @ v), dtype=np.float64)
    return np.asarray(eigsh(product, k=1, v0=np.ones(dimension), tol=1e-6)[1][:, 0])


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
    largest = max(_largest_eigenvalue(within), 0.0) if within.any() else 0.0
    return max(float(np.exp(-5.0 * largest)), SMALLEST_SHRINKAGE)


@dataclass(frozen=True)
class _Discriminant:
    """A regularised Fisher discriminant of m rows, and how its predictions for them hang on each of the rows.

    Attributes:
        features: (m, D) the rows.
        codes: (m,) their classes.
        counts: (C,).
        means: (C, D).
        shrinkage: k.
        variance: tr(S_W) / D.
        factor: of the covariance (1 - k) S_W + k tr(S_W)/D I, from `cho_factor`.
        directions: (D, C) the inverse of that covariance times the means.
        posterior: (m, C) p(y | x).
    """

    features: Floats
    codes: NDArray[np.int64]
    counts: Floats
    means: Floats
    shrinkage: float
    variance: float
    factor: tuple[Floats, bool]
    directions: Floats
    posterior: Floats

    @classmethod
    def of(cls, features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Self:
        """Fitted to rows (m, D)."""
        counts = np.bincount(codes).astype(np.float64)
        means = _means(features, codes, counts)
        covariance = _within(features, codes, means)
        variance = float(np.trace(covariance)) / covariance.shape[0]
        # Where classes have no spread, the plain distance to their means decides.
        floor = 1e-12 * float((features**2).mean()) or 1.0
        covariance *= 1.0 - shrinkage
        covariance[np.diag_indices_from(covariance)] += floor if variance <= floor else shrinkage * variance
        factor = cho_factor(covariance, lower=True, overwrite_a=True)
        directions = cho_solve(factor, means.T)
        bias = np.log(counts / codes.size) - 0.5 * np.einsum("cd,dc->c", means, directions)
        posterior = softmax(features @ directions + bias, axis=1)
        return cls(features, codes, counts, means, shrinkage, variance, factor, directions, posterior)

    def pulled_back(self, by_logit: Floats) -> tuple[Floats, Floats, float]:
        """What a quantity with the derivative `by_logit` (m, C) by the discriminants changes by.

        Returns:
            (m,) the derivative by each row's weight in the fit, up to a constant; (m, D) that by the rows; that by the
            shrinkage.
        """
        m, dimension = self.features.shape
        kept, own, within = 1.0 - self.shrinkage, self.counts[self.codes], self.features - self.means[self.codes]
        by_bias = by_logit.sum(axis=0)
        by_direction = self.features.T @ by_logit - 0.5 * self.means.T * by_bias
        pulled = np.asarray(cho_solve(self.factor, by_direction))
        by_mean = (pulled - 0.5 * self.directions * by_bias).T
        # The derivative by the covariance is -(pulled directions' + directions pulled') / 2, never formed.
        trace = -float(np.einsum("dc,dc->", pulled, self.directions))
        along, across = within @ self.directions, within @ pulled
        stretch = -np.einsum("mc,mc->m", along, across)
        by_shrinkage = self.variance * trace - float(stretch.sum()) / m
        round_part = self.shrinkage * trace / dimension
        by_scatter = kept * stretch + round_part * np.einsum("md,md->m", within, within)
        by_weight = by_scatter / m + (np.einsum("md,md->m", within, by_mean[self.codes]) + by_bias[self.codes]) / own
        by_row = by_logit @ self.directions.T + (by_mean / self.counts[:, None])[self.codes]
        by_row -= kept / m * (across @ self.directions.T + along @ pulled.T) - 2 * round_part / m * within
        return by_weight, by_row, by_shrinkage


@dataclass(frozen=True)
class SelfChallenging:
    """Two discriminants and the confidence mixing between them.

    Attributes:
        first: of the rows.
        sure: (m, C) the softmax of the first posterior.
        others: (C, D) the mean of the other classes' means.
        second: of the mixed rows, with the same shrinkage.
    """

    first: _Discriminant
    sure: Floats
    others: Floats
    second: _Discriminant

    @classmethod
    def of(cls, features: Floats, codes: NDArray[np.int64], shrinkage: float) -> Self:
        """Of rows (m, D) with classes 0 .. C - 1, each of which occurs; `shrinkage` from `adaptive_shrinkage`."""
        first = _Discriminant.of(features, codes, shrinkage)
        sure = softmax(first.posterior, axis=1)
        others = (first.means.sum(axis=0) - first.means) / (first.counts.size - 1)
        own = sure[np.arange(codes.size), codes][:, None]
        return cls(
            first, sure, others, _Discriminant.of(own * features + (1.0 - own) * others[codes], codes, shrinkage)
        )

    @property
    def terms(self) -> Floats:
        """(m,) p(y_i | x_i); its mean is the score."""
        return np.asarray(self.second.posterior[np.arange(self.second.codes.size), self.second.codes])

    def influence(self) -> Floats:
        """(m,) the derivative of the score by each row's weight, up to a constant: as a term, and in both fits."""
        first, codes, terms = self.first, self.first.codes, self.terms
        m, classes = self.sure.shape
        one_hot = np.eye(classes)[codes]
        in_second, by_mixed, by_shrinkage = self.second.pulled_back(
            terms[:, None] * (one_hot - self.second.posterior) / m
        )
        own = self.sure[np.arange(m), codes][:, None]
        by_other = one_hot.T @ ((1.0 - own) * by_mixed)
        by_mean = (by_other.sum(axis=0) - by_other) / (classes - 1)
        by_sure = np.einsum("md,md->m", by_mixed, first.features - self.others[codes])[:, None]
        by_posterior = by_sure * own * (one_hot - self.sure)
        by_logit = first.posterior * (by_posterior - (first.posterior * by_posterior).sum(axis=1, keepdims=True))
        in_first, _, by_first_shrinkage = first.pulled_back(by_logit)
        within = first.features - first.means[codes]
        in_mixing = np.einsum("md,md->m", within, by_mean[codes]) / first.counts[codes]
        found = terms / m + in_second + in_mixing + in_first
        if first.shrinkage > SMALLEST_SHRINKAGE:
            along = within @ _leading_direction(within)
            found -= 5.0 * first.shrinkage * (by_shrinkage + by_first_shrinkage) * along**2 / m
        return np.asarray(found)


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
    fitted = SelfChallenging.of(features, codes, adaptive_shrinkage(features, codes))
    value = float(fitted.terms.mean())
    return Estimate(value, value, lambda: Influence(fitted.influence(), rows.index))


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
