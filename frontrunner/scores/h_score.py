"""H-score: tr(cov(f)^+ cov(E[f | y])).

Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019. With T and B
the total and between-class scatter it is tr(T^+ B), the variance that the classes explain after whitening; at most
min(C - 1, rank). Public code takes a pseudo-inverse at a cut of 1e-15, which in float32 or for D >= n lets rounding
past that bound; here a rank-revealing Cholesky factor of T drops null directions.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.intervals import leave_group_out
from frontrunner.scores.scatter import LeftOut, PivotedFactor, Scatter
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput
from frontrunner.statistics import Floats


def _estimate(case: ScoringInput) -> Estimate:
    scatter = Scatter.of(case.statistics)
    factor = PivotedFactor.of(scatter.total(), scatter.rounding)
    offsets = scatter.offsets
    whitened = factor.half_solve(np.sqrt(scatter.counts)[:, None] * offsets)
    value = min(float((whitened**2).sum()), float(min(scatter.counts.size - 1, factor.rank)))

    def replicates() -> Floats:
        rows = case.rows(INTERVAL_ROWS)
        x = rows.features - scatter.mean
        half = factor.half_solve(x)
        left = LeftOut(
            counts=scatter.counts[rows.codes],
            leverage=np.einsum("rm,rm->m", half, half),
            along=x @ factor.solve(offsets).T,
            own_square=np.einsum("rc,rc->c", factor.half_solve(offsets), factor.half_solve(offsets))[rows.codes],
            own=np.asarray(rows.codes),
        )
        lost = left.between_lost(scatter.counts, case.n, case.n / (case.n - 1))
        return leave_group_out(value, lost - lost.mean(), rows.groups, case.n)

    return Estimate(value, value, replicates if case.has_rows else None)


SCORE = Score(
    name="h_score",
    title="H-score",
    source="Bao et al., ICIP 2019",
    needs="statistics",
    tasks=CLASSIFICATION,
    range="0 to C - 1; reaches C - 1 trivially once D >= n",
    cost="one pass; then one Cholesky factor, 1/3 D^3",
    explanation="How many directions of the features, after whitening, are explained by the classes.",
    estimate=_estimate,
    lowest=0.0,
)
