"""GBC: Gaussian Bhattacharyya coefficient between the classes.

Pandy et al., "Transferability Estimation Using Bhattacharyya Class Separability", CVPR 2022. Each class is a Gaussian
N(m_c, s_c I) (the spherical form that the paper recommends); the score is - sum over pairs of classes of exp(-BD) with

    BD = |m_c - m_d|^2 / (4 (s_c + s_d)) + D/2 log((s_c + s_d) / (2 sqrt(s_c s_d)))

Class variances need only the sum of |f|^2 per class. The paper reduces features to 64 principal components first; here
they are taken as given, so with many features well separated classes all come close to 0.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.intervals import leave_group_out
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput
from frontrunner.statistics import Floats

# A class without spread of its own (one row, or copies) is given this share of the features' overall variance.
_SMALLEST_VARIANCE = 1e-12


def _class_variances(case: ScoringInput, scatter: Scatter) -> tuple[Floats, Floats]:
    """(C,) variance per feature of each class, and which of them are its own rather than borrowed."""
    means, counts = scatter.class_means, scatter.counts
    norms = case.statistics.norm_cross[case.columns]
    own = np.maximum(norms / counts - np.einsum("cd,cd->c", means, means), 0.0) / case.dimension
    total = max(float(norms.sum() / case.n - scatter.mean @ scatter.mean), 0.0) / case.dimension
    rounding = scatter.rounding / case.n
    pooled = float(counts @ own) / case.n
    borrowed = (counts < 1.5) | (own <= rounding)
    variances = np.where(borrowed, pooled, own)
    if total <= rounding:
        return np.ones_like(own), np.zeros_like(own)
    return np.maximum(variances, _SMALLEST_VARIANCE * total), (~borrowed).astype(np.float64)


def _estimate(case: ScoringInput) -> Estimate:
    scatter = Scatter.of(case.statistics)
    means, dimension = scatter.offsets, case.dimension
    variances, own = _class_variances(case, scatter)
    square = np.einsum("cd,cd->c", means, means)
    distance = np.maximum(square[:, None] + square - 2 * means @ means.T, 0.0)
    both = variances[:, None] + variances
    # Squares of tiny variances would underflow where their logarithms do not.
    logs = np.log(variances)
    shape = dimension / 2 * (np.log(both / 2) - (logs[:, None] + logs) / 2)
    coefficient = np.exp(-(distance / (4 * both) + np.maximum(shape, 0.0)))
    np.fill_diagonal(coefficient, 0.0)
    value = -float(coefficient.sum()) / 2

    def replicates() -> Floats:
        rows = case.rows(INTERVAL_ROWS)
        codes = np.asarray(rows.codes)
        pull = coefficient / (2 * both)
        by_mean = pull.sum(axis=1)[:, None] * means - pull @ means
        by_variance = coefficient * (
            dimension / 2 * (1 / both - 1 / (2 * variances[:, None])) - distance / (4 * both**2)
        )
        x = rows.features - scatter.class_means[codes]
        wider = np.einsum("md,md->m", x, x) / dimension - variances[codes]
        moved = np.einsum("md,md->m", x, by_mean[codes]) + wider * (own * by_variance.sum(axis=1))[codes]
        return leave_group_out(value, moved / scatter.counts[codes], rows.groups, case.n)

    return Estimate(value, value, replicates if case.has_rows else None)


SCORE = Score(
    name="gbc",
    title="GBC",
    source="Pandy et al., CVPR 2022",
    needs="statistics",
    tasks=CLASSIFICATION,
    range="-C (C - 1) / 2 to 0",
    cost="one pass, then C^2 D",
    explanation="How little the classes overlap when each is a round cloud in feature space.",
    estimate=_estimate,
    highest=0.0,
)
