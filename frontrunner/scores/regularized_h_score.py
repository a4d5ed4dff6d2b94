"""Regularised H-score: the H-score with Ledoit and Wolf's shrinkage of the features' covariance.

The fourth moments that the shrinkage intensity needs come from the sums, not from the rows.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dsymm

from frontrunner.scores.influence import Influence
from frontrunner.scores.scatter import LeftOut, Scatter, rounding_of
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput
from frontrunner.statistics import FeatureStatistics, Floats


def ledoit_wolf_intensity(statistics: FeatureStatistics) -> float:
    """The intensity a, 0 to 1, by which the covariance is shrunk towards a multiple of the identity.

    Features that do not vary give 1. A covariance that is a multiple of the identity already, as any is for D = 1,
    gives 0.

    Args:
        statistics: sums over (n, D) features.

    Source: Ledoit & Wolf 2004, eq. 14.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 2.0, 3.0]
        >>> round(ledoit_wolf_intensity(FeatureStatistics().update(features)), 6)
        0.187444
    """
    n, dimension, lower = statistics.n, statistics.dimension, statistics.scatter_lower()
    trace = float(np.trace(lower))
    if trace <= rounding_of(statistics) * dimension:
        return 1.0
    # Both times n^2. The first is a difference of sums of D squares.
    squares = _squared_norm(lower)
    spread = squares - trace**2 / dimension
    if spread <= dimension * np.finfo(np.float64).eps * squares:
        return 0.0
    noise = float(statistics.about(statistics.mean).norm_fourth_sum[0]) - squares / n
    return float(np.clip(noise / spread, 0.0, 1.0))


def _squared_norm(lower: Floats) -> float:
    """Sum of the squared entries of a symmetric matrix given by its lower triangle."""
    return 2 * float((np.tril(lower) ** 2).sum()) - float((np.diagonal(lower) ** 2).sum())


def _intensity_influence(intensity: float, total_lower: Floats, x: Floats, n: int) -> Floats:
    """(m,) how much each centred row of `x` (m, D) adds to the intensity, to first order and up to a constant."""
    dimension = x.shape[1]
    square = np.einsum("md,md->m", x, x)
    if intensity == 0.0:  # the end of its range, or a covariance that no intensity changes
        return np.zeros_like(square)
    trace = float(np.trace(total_lower))
    spread = _squared_norm(total_lower) - trace**2 / dimension
    along = 2 * np.einsum("md,dm->m", x, dsymm(1.0, total_lower, x.T, lower=1))
    # The row changes the mean by x / n, and so sum |f - mean|^4 by -4 times the mean of |x|^2 x.
    fourth = square**2 - 4 * x @ (square @ x / square.size)
    noise = fourth - along / n
    return np.asarray((noise - intensity * (along - 2 * trace * square / dimension)) / spread)


def estimate(data: ScoringInput) -> Estimate:
    """(1 - a) tr(S_a^-1 cov(E[f | y])) with S_a = (1 - a) S + a tr(S)/D I and Ledoit and Wolf's intensity a.

    S is the covariance of the features. As in the authors' code it divides by n, and the covariance of the class means
    by n - 1.

    Args:
        data: sums over (n, D) features of C classes; rows, where there are any, give the interval.

    Returns:
        0 to about C - 1; 0 where a = 1.

    Raises:
        NothingToSeparate: fewer than two classes occur.

    Source: Ibrahim, Ponomareva & Mazumder, "Newer is not always better: Rethinking transferability metrics, their
    peculiarities, stability and performance", ECML PKDD 2022; Ledoit & Wolf 2004, eq. 14.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = np.arange(20) % 2
        >>> features = np.random.default_rng(0).normal(size=(20, 3)) + labels[:, None]
        >>> round(score("regularized_h_score", features, labels), 4)
        0.2761
    """
    scatter, n, dimension = data.once(Scatter.of_input), data.n, data.dimension
    intensity = ledoit_wolf_intensity(data.statistics)
    if intensity >= 1.0:
        # The factor 1 - a is zero.
        return Estimate(0.0, 0.0, None)
    kept, offsets = 1 - intensity, scatter.offsets
    covariance = scatter.total_lower.copy(order="F")
    variance = float(np.trace(covariance)) / n / dimension
    covariance *= kept / n
    # An intensity of zero (with two rows, for example) leaves a singular covariance: add the identity times rounding.
    covariance[np.diag_indices_from(covariance)] += max(intensity * variance, scatter.rounding / n)
    factor = cho_factor(covariance, lower=True, overwrite_a=True)
    weights = cho_solve(factor, offsets.T).T
    own_squares = np.einsum("cd,cd->c", weights, offsets)
    value = kept * float(scatter.counts @ own_squares) / (n - 1)

    def influence() -> Influence:
        rows = data.rows(INTERVAL_ROWS)
        codes, x = np.asarray(rows.codes), rows.features - scatter.mean
        half = solve_triangular(factor[0], x.T, lower=True, check_finite=False)
        left = LeftOut(
            counts=scatter.counts[codes],
            leverage=np.einsum("dm,dm->m", half, half),
            along=x @ weights.T,
            own_square=own_squares[codes],
            own=codes,
        )
        lost = kept / (n - 1) * left.between_lost(scatter.counts, n, kept / n)
        # The score falls by q per unit of a tr(S)/D on the diagonal, and a and tr(S) depend on the row as well.
        q = float(scatter.counts @ np.einsum("cd,cd->c", weights, weights)) / (n - 1)
        by_variance = intensity * kept * np.einsum("md,md->m", x, x) / dimension / n
        by_intensity = variance * _intensity_influence(intensity, scatter.total_lower, x, n)
        return Influence(lost - q * (by_variance + by_intensity), rows.index, whole=True)

    return Estimate(value, value, influence if data.has_rows else None)


SCORE = Score(
    name="regularized_h_score",
    title="Regularised H-score",
    citation="Ibrahim et al., ECML PKDD 2022",
    needs="statistics",
    tasks=CLASSIFICATION,
    range="0 to about C - 1",
    cost="one pass; then one Cholesky factor, 1/3 D^3",
    explanation="The H-score with a shrunken covariance: it stays meaningful with few examples and many features.",
    estimate=estimate,
    lowest=0.0,
    version=3,
)
