"""Class means and scatter matrices from sums, for the scores that compare classes by discriminants.

With n_c examples and mean m_c per class and mean m overall: total T = sum (f - m)(f - m)', between
B = sum n_c (m_c - m)(m_c - m)', within W = T - B. All are unnormalised sums of squares, taken about the mean, so that a
common offset of the features costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular
from scipy.linalg.blas import dsyrk

from frontrunner.scores.scoring_input import ScoringInput, occurring_columns
from frontrunner.statistics import FeatureStatistics, Floats


@dataclass(frozen=True)
class Scatter:
    """Counts and means of the classes that occur, and the scatter of the features about their mean, made on demand.

    Attributes:
        n: number of examples.
        counts: (C,) examples per class.
        mean: (D,) mean of all.
        offsets: (C, D) class means minus the mean.
        norms: (C,) sum of |f - mean|^2 per class.
        rounding: by how much T's diagonal may be wrong, because larger second moments were subtracted.
    """

    n: int
    counts: Floats
    mean: Floats
    offsets: Floats
    norms: Floats
    rounding: float
    _statistics: FeatureStatistics

    @classmethod
    def of(cls, statistics: FeatureStatistics) -> Scatter:
        """Scatter of sums over labelled examples.

        Raises:
            NothingToSeparate: fewer than two classes occur.
        """
        columns = occurring_columns(statistics)
        counts = statistics.target_sum[columns]
        return cls(
            n=statistics.n,
            counts=counts,
            mean=statistics.mean,
            offsets=(statistics.centred_cross[:, columns] / counts).T,
            norms=statistics.centred_norm_cross[columns],
            rounding=rounding_of(statistics),
            _statistics=statistics,
        )

    @classmethod
    def of_input(cls, data: ScoringInput) -> Scatter:
        """Scatter of a scoring input's sums; call it as `data.once(Scatter.of_input)`, several scores share it."""
        return cls.of(data.statistics)

    @cached_property
    def total_lower(self) -> Floats:
        """T, (D, D), lower triangle, Fortran order; not written to."""
        return self._statistics.scatter_lower()

    def within(self) -> Floats:
        """W, (D, D), lower triangle, Fortran order; a new matrix."""
        factor = (np.sqrt(self.counts)[:, None] * self.offsets).T
        lower: Floats = dsyrk(-1.0, factor, beta=1.0, c=self.total_lower, lower=1)
        diagonal = np.einsum("ii->i", lower)
        np.maximum(diagonal, 0.0, out=diagonal)
        return lower


def rounding_of(statistics: FeatureStatistics) -> float:
    """By how much the diagonal of T may be wrong, because larger second moments were subtracted."""
    size = statistics.dimension
    trace = float(np.trace(statistics.shifted_gram_lower))
    return max(statistics.n, size) * float(np.finfo(np.float64).eps) * trace / size


@dataclass(frozen=True)
class PivotedFactor:
    """P L with S = P L L' P' for a positive semi-definite S of rank r: solves inside the range of S.

    A rank-revealing Cholesky factor gives a'S^+ b for a and b in the range of S without an eigendecomposition or a
    pseudo-inverse, whose singular value decomposition is known to fail to converge in public code.

    Attributes:
        lower: (r, r) leading triangle of L.
        pivots: (r,) the coordinates of its rows.
        size: D.
    """

    lower: Floats
    pivots: NDArray[np.int64]
    size: int

    @classmethod
    def of(cls, scatter_lower: Floats, rounding: float) -> PivotedFactor:
        """The factor of a (D, D) matrix given by its lower triangle; it ends where pivots fall to `rounding`."""
        size = scatter_lower.shape[0]
        largest = float(np.diagonal(scatter_lower).max())
        tolerance = max(rounding, size * float(np.finfo(np.float64).eps) * largest)
        if largest <= tolerance:
            return cls(np.zeros((0, 0)), np.zeros(0, dtype=np.int64), size)
        factor, pivots, rank, _ = lapack.dpstrf(scatter_lower, tol=tolerance, lower=1)
        return cls(np.tril(factor[:rank, :rank]), np.asarray(pivots[:rank] - 1, dtype=np.int64), size)

    @property
    def rank(self) -> int:
        """r, the number of directions in the range of S."""
        return int(self.pivots.size)

    def half_solve(self, rows: Floats) -> Floats:
        """(r, m) h with h_a . h_b = a'S^+ b for rows a, b of `rows` (m, D) in the range of S."""
        if self.rank == 0:
            return np.zeros((0, rows.shape[0]))
        return np.asarray(solve_triangular(self.lower, rows[:, self.pivots].T, lower=True, check_finite=False))

    def solve(self, rows: Floats) -> Floats:
        """(m, D) w with S w = a for each row a of `rows` (m, D) in the range of S."""
        solved = np.zeros((rows.shape[0], self.size))
        if self.rank:
            half = self.half_solve(rows)
            solved[:, self.pivots] = solve_triangular(self.lower, half, lower=True, trans=1, check_finite=False).T
        return solved


@dataclass(frozen=True)
class LeftOut:
    """Computes by how much tr(P B) falls without a row, for each row and exactly; P is the inverse of a scatter S.

    With x = f - mean and m the offset of the row's class, leaving the row out changes T by -n/(n - 1) x x' and W by
    -n_c/(n_c - 1) (x - m)(x - m)'. B is T - W; the inverse follows by the formula of Sherman and Morrison.

    Attributes:
        counts: (m,) n_c of each row's class.
        leverage: (m,) x'P x.
        along: (m, C) x'P m_c.
        own_square: (m,) m'P m of the row's own class.
        own: (m,) the row's class.
    """

    counts: Floats
    leverage: Floats
    along: Floats
    own_square: Floats
    own: NDArray[np.int64]

    def between_lost(self, class_counts: Floats, n: int, weight: float) -> Floats:
        """(m,) tr(P B) - tr(P_i B_i) where S_i = S - weight x x' is S without row i.

        Without a row that alone spans a direction of S, the direction is gone as well; its difference is set to zero.

        Args:
            class_counts: (C,) examples per class.
            n: number of examples.
            weight: how much of x x' the row adds to S.
        """
        left = 1.0 - weight * self.leverage
        alone = left < 1e-8
        left = np.where(alone, 1.0, left)
        along_own = self.along[np.arange(self.own.size), self.own]
        inner = self.leverage - along_own
        within = self.leverage - 2 * along_own + self.own_square + weight * inner**2 / left
        # The only row of a class equals the class's mean: `within` is 0, and any factor will do.
        grown = self.counts / np.maximum(self.counts - 1, 1)
        between = weight * (self.along**2 @ class_counts) / left
        total = n / (n - 1) * self.leverage / left
        return np.where(alone, 0.0, total - between - grown * within)
