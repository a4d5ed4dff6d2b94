"""H-score: the variance of the whitened features that the classes explain.

Public code takes a pseudo-inverse at a cut of 1e-15. In float32, or for D >= n, that keeps rounding errors as signal
and exceeds the score's bound. Here a rank-revealing Cholesky factor of the total scatter drops null directions.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.scatter import LeftOut, PivotedFactor, Scatter
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput


def estimate(data: ScoringInput) -> Estimate:
    """tr(cov(f)^+ cov(E[f | y])) = tr(T^+ B), with the total and the between-class scatter T and B.

    Args:
        data: sums over (n, D) features of C classes; rows, where there are any, give the interval.

    Returns:
        0 to min(C - 1, rank of T); it is C - 1 for any features at all once D >= n.

    Raises:
        NothingToSeparate: fewer than two classes occur.

    Source: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[0.0], [1.0], [2.0], [3.0]])  # T = 5, B = 4
        >>> round(score("h_score", features, [0, 0, 1, 1]), 9)
        0.8
    """
    scatter = data.once(Scatter.of_input)
    factor = PivotedFactor.of(scatter.total_lower, scatter.rounding)
    offsets = scatter.offsets
    whitened = factor.half_solve(np.sqrt(scatter.counts)[:, None] * offsets)
    value = min(float((whitened**2).sum()), float(min(scatter.counts.size - 1, factor.rank)))

    def influence() -> Influence:
        rows = data.rows(INTERVAL_ROWS)
        x = rows.features - scatter.mean
        half = factor.half_solve(x)
        left = LeftOut(
            counts=scatter.counts[rows.codes],
            leverage=np.einsum("rm,rm->m", half, half),
            along=x @ factor.solve(offsets).T,
            own_square=np.einsum("rc,rc->c", factor.half_solve(offsets), factor.half_solve(offsets))[rows.codes],
            own=np.asarray(rows.codes),
        )
        lost = left.between_lost(scatter.counts, data.n, data.n / (data.n - 1))
        return Influence(lost * (1 - 1 / data.n), rows.index, whole=True)

    return Estimate(value, value, influence if data.has_rows else None)


SCORE = Score(
    name="h_score",
    title="H-score",
    citation="Bao et al., ICIP 2019",
    needs="statistics",
    tasks=CLASSIFICATION,
    range="0 to C - 1; reaches C - 1 trivially once D >= n",
    cost="one pass; then one Cholesky factor, 1/3 D^3",
    explanation="How many directions of the features, after whitening, are explained by the classes.",
    estimate=estimate,
    lowest=0.0,
    version=2,
)
