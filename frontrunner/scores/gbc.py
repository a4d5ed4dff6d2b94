"""GBC: how much the classes overlap as spherical Gaussians, by the Bhattacharyya coefficient.

The class variances need only the sum of |f|^2 of each class, so the score is computed from sums.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput
from frontrunner.statistics import Floats

# A class without any spread (one row, or copies of one) gets this share of the features' overall variance.
_SMALLEST_VARIANCE = 1e-12


def _class_variances(data: ScoringInput, scatter: Scatter) -> tuple[Floats, Floats]:
    """(C,) variance per feature of each class, and 1 where it is the class's own, 0 where it is the pooled one."""
    offsets, counts = scatter.offsets, scatter.counts
    own = np.maximum(scatter.norms / counts - np.einsum("cd,cd->c", offsets, offsets), 0.0) / data.dimension
    total = float(scatter.norms.sum()) / data.n / data.dimension
    rounding = scatter.rounding / data.n
    pooled = float(counts @ own) / data.n
    borrowed = (counts < 2) | (own <= rounding)
    variances = np.where(borrowed, pooled, own)
    if total <= rounding:
        return np.ones_like(own), np.zeros_like(own)
    return np.maximum(variances, _SMALLEST_VARIANCE * total), (~borrowed).astype(np.float64)


def _coefficients(distance: Floats, first: Floats, second: Floats, dimension: int) -> Floats:
    """exp(-BD) of Gaussians at squared `distance` with variances `first` and `second` per feature, which broadcast."""
    both = first + second
    # Products of tiny variances would underflow; sums of their logarithms do not.
    shape = dimension / 2 * (np.log(both / 2) - (np.log(first) + np.log(second)) / 2)
    return np.asarray(np.exp(-(distance / (4 * both) + np.maximum(shape, 0.0))))


def estimate(data: ScoringInput) -> Estimate:
    """Minus the sum over pairs of classes of the Bhattacharyya coefficient exp(-BD) of their Gaussians.

    Class c is N(m_c, s_c I), the spherical form that the paper recommends, and

        BD = |m_c - m_d|^2 / (4 (s_c + s_d)) + D/2 log((s_c + s_d) / (2 sqrt(s_c s_d)))

    The paper reduces features to 64 principal components first; here they are used unreduced, so with many features
    well separated classes all come close to 0.

    Args:
        data: sums over (n, D) features of C classes; rows, where there are any, give the interval.

    Returns:
        -C (C - 1) / 2 (all classes equal) to 0 (no overlap).

    Raises:
        NothingToSeparate: fewer than two classes occur.

    Source: Pandy et al., "Transferability Estimation Using Bhattacharyya Class Separability", CVPR 2022.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[0.0], [2.0], [3.0], [5.0]])  # means 1 and 4, variances 1: -exp(-9 / 8)
        >>> round(score("gbc", features, [0, 0, 1, 1]), 4)
        -0.3247
    """
    scatter = data.once(Scatter.of_input)
    means, dimension = scatter.offsets, data.dimension
    variances, own = _class_variances(data, scatter)
    square = np.einsum("cd,cd->c", means, means)
    distance = np.maximum(square[:, None] + square - 2 * means @ means.T, 0.0)
    coefficient = _coefficients(distance, variances[:, None], variances, dimension)
    np.fill_diagonal(coefficient, 0.0)
    value = -float(coefficient.sum()) / 2

    def influence() -> Influence:
        rows = data.rows(INTERVAL_ROWS)
        codes = np.asarray(rows.codes)
        # Exactly, as a class of few rows changes by much: its mean and its variance without the row.
        counts = scatter.counts[codes]
        others = np.maximum(counts - 1, 1)
        x = rows.features - scatter.mean - means[codes]
        square = np.einsum("md,md->m", x, x)
        along = x @ means.T
        along = np.einsum("md,md->m", x, means[codes])[:, None] - along
        moved = distance[codes] - 2 * along / others[:, None] + (square / others**2)[:, None]
        narrower = (counts * variances[codes] - counts / others * square / dimension) / others
        alone = (own[codes] == 0) | (counts < 3)
        narrower = np.where(alone, variances[codes], np.maximum(narrower, variances.min() * _SMALLEST_VARIANCE))
        without = _coefficients(np.maximum(moved, 0.0), narrower[:, None], variances, dimension)
        without[np.arange(codes.size), codes] = 0.0
        changes = without.sum(axis=1) - coefficient.sum(axis=1)[codes]
        return Influence(changes, rows.index, whole=True)

    return Estimate(value, value, influence if data.has_rows else None)


SCORE = Score(
    name="gbc",
    title="GBC",
    citation="Pandy et al., CVPR 2022",
    needs="statistics",
    tasks=CLASSIFICATION,
    range="-C (C - 1) / 2 to 0",
    cost="one pass, then C^2 D",
    explanation="How little the classes overlap when each is a round cloud in feature space.",
    estimate=estimate,
    highest=0.0,
    version=2,
)
