"""The second moments of features and targets, and the rotation that keeps their digits.

G = S + n m m' with the scatter S about the mean m. Where the mean is far larger than the spread, one eigenvalue is far
larger than the others, and they would drown in its rounding. So G is first rotated by a reflector that puts the mean
(for rows: the vector of ones) on the first axis: its large number then stands alone in the first place, and reduction
from the first column on leaves the others their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg.blas import dger, dsymv, dsyr2

from frontrunner.statistics import Floats


@dataclass(frozen=True)
class Moments:
    """The second moments to decompose: scatter and means for LogME, scatter alone for a model with an intercept.

    Attributes:
        n: number of examples.
        scatter_lower: (D, D) S = sum (f - m)(f - m)', lower triangle; not written to. G is S + n m m'.
        scatter_cross: (D, C) sum (f - m) y'. B is that plus n m a'.
        mean: (D,) m; zero for a model with an intercept.
        target_mean: (C,) a; zero for a model with an intercept.
        target_square: (C,) y'y, positive.
    """

    n: int
    scatter_lower: Floats
    scatter_cross: Floats
    mean: Floats
    target_mean: Floats
    target_square: Floats


@dataclass(frozen=True)
class Reflector:
    """Householder's reflector H = I - 2 v v' of unit v that takes a vector a to `sign` |a| times the first axis.

    Attributes:
        vector: (k,) v; zero for a = 0, where H is the identity.
        sign: 1 or -1.
    """

    vector: Floats
    sign: float

    @classmethod
    def to_first_axis(cls, vector: Floats) -> Self:
        """The reflector of `vector` (k,).

        Example:
            >>> reflector = Reflector.to_first_axis(np.array([3.0, 4.0]))
            >>> np.abs(reflector.apply(np.array([[3.0], [4.0]]))[:, 0]).round(12).tolist()
            [5.0, 0.0]
        """
        length = float(np.linalg.norm(vector))
        if length == 0:
            return cls(np.zeros_like(vector), 1.0)
        # Away from the first axis, so that the difference does not cancel.
        sign = -1.0 if vector[0] > 0 else 1.0
        direction = vector / length
        direction[0] -= sign
        return cls(direction / np.linalg.norm(direction), sign)

    def apply(self, columns: Floats) -> Floats:
        """H X for X (k, m); a copy in Fortran order."""
        copy = np.array(columns, dtype=np.float64, order="F")
        if copy.size == 0:
            return copy
        return np.asarray(dger(-2.0, self.vector, self.vector @ columns, a=copy, overwrite_a=1))

    def apply_to_both_sides(self, lower: Floats) -> Floats:
        """H A H for a symmetric A (k, k) given by its lower triangle; a copy in Fortran order, lower triangle."""
        along = dsymv(1.0, lower, self.vector, lower=1)
        half = along - float(self.vector @ along) * self.vector
        return np.asarray(dsyr2(-2.0, self.vector, half, lower=1, a=np.asfortranarray(lower)))


def mean_first(moments: Moments) -> tuple[Reflector, Floats, Floats]:
    """The reflector that puts the mean on the first axis, and G (D, D), lower triangle, and B (D, C) after it."""
    reflector = Reflector.to_first_axis(moments.mean)
    length = float(np.linalg.norm(moments.mean))
    lower = reflector.apply_to_both_sides(moments.scatter_lower)
    cross = reflector.apply(moments.scatter_cross)
    lower[0, 0] += moments.n * length**2
    cross[0] += moments.n * length * reflector.sign * moments.target_mean
    return reflector, lower, cross
