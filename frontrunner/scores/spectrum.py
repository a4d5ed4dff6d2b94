"""Decompositions of second moments that make LogME's model a scalar problem for each output column.

With G = F'F, B = F'Y, t = alpha/beta and x = (G + t I)^-1 B, the evidence needs of a column only

    Q(t) = y'y - b'x       and its derivatives by u = log t:   Q' = t x'x,   Q'' = t x'x - 2 t^2 x'(G + t I)^-1 x

and the eigenvalues s_i^2 of G. Two classes compute this:

- `Tridiagonal`, for n > D: G = Q T Q' with T tridiagonal. One reduction serves every column; each t then costs O(D)
  a column, eigenvectors are never formed, and beside the matrix itself only two more of its size are held.
- `Eigenbasis`, for n <= D: from the n x n Gram matrix of the rows where rows are at hand, else from F'F. Here the
  supremum may lie at t -> 0. Sums of z_i^2 t/(t + s_i^2), z_i = (V'B)_i / s_i, keep their digits there, whereas
  y'y - b'x would cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from scipy.linalg import lapack

from frontrunner.errors import InvalidFeatures
from frontrunner.scores.symmetric import eigen, tridiagonalise
from frontrunner.statistics import Floats

# With fewer features the overhead of LAPACK's calls exceeds what the reduction saves; it needs at least two.
_FEWEST_FOR_TRIDIAGONAL = 3
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Moments:
    """The second moments to decompose: not centred for LogME, centred for a model with an intercept.

    Attributes:
        n: number of examples.
        gram_lower: (D, D) G, lower triangle; not written to.
        cross: (D, C) B.
        target_square: (C,) y'y, positive.
        features: (n, D) the rows themselves where n <= D and they are at hand, else None.
        outputs: (n, C) beside `features`.
    """

    n: int
    gram_lower: Floats
    cross: Floats
    target_square: Floats
    features: Floats | None = None
    outputs: Floats | None = None


@dataclass(frozen=True)
class Unexplained:
    """Q(t) per column with its derivatives by log t, (C,) each; `residual` is |F w - y|^2 at the posterior mean w."""

    total: Floats
    slope: Floats
    curvature: Floats
    residual: Floats


class Spectrum(Protocol):
    """A decomposition of `Moments`."""

    @property
    def n(self) -> int:
        """Number of examples."""
        ...

    @property
    def squared_singular_values(self) -> Floats:
        """(r,) s_i^2, descending."""
        ...

    @property
    def target_square(self) -> Floats:
        """(C,) y'y."""
        ...

    @property
    def full_row_rank(self) -> bool:
        """Whether the rank is n, so that a linear model fits every target exactly."""
        ...

    def on_grid(self, t: Floats) -> Floats:
        """Q (T, C) for every column at every one of `t` (T,)."""
        ...

    def unexplained(self, t: Floats) -> Unexplained:
        """Q of column c and its derivatives at t[c], for `t` (C,)."""
        ...

    def posterior_mean(self, t: Floats) -> Floats:
        """(D, C) the weights (G + t[c] I)^-1 b of each column."""
        ...

    def leverages(self, features: Floats, t: Floats) -> Floats:
        """(m, k) f'(G + t[k] I)^-1 f for rows `features` (m, D) at every one of `t` (k,)."""
        ...


def decompose(moments: Moments) -> Spectrum:
    """`Tridiagonal` for n > D, `Eigenbasis` otherwise: the faster decomposition that loses no digits.

    Raises:
        InvalidFeatures: a target column is zero for every example.
    """
    if (moments.target_square <= 0).any():
        raise InvalidFeatures("a target column is zero for every example; its evidence has no maximum")
    if moments.features is not None and moments.outputs is not None:
        return Eigenbasis.of_rows(moments.features, moments.outputs)
    dimension = moments.gram_lower.shape[0]
    if moments.n > dimension >= _FEWEST_FOR_TRIDIAGONAL and np.diagonal(moments.gram_lower).max() > 0:
        return Tridiagonal.of_moments(moments)
    return Eigenbasis.of_moments(moments)


@dataclass(frozen=True)
class Eigenbasis:
    """The eigenvectors of G of rank r, without its null directions.

    Attributes:
        n: number of examples.
        squared_singular_values: (r,) s_i^2, descending.
        vectors: (D, r) V.
        projections: (r, C) z_i.
        rest: (C,) the part of y'y outside the span of F; exactly 0 where the rank is n.
        target_square: (C,) y'y.
        row_basis: (n, r) U with F = U diag(s) V', if made from rows; None otherwise.
    """

    n: int
    squared_singular_values: Floats
    vectors: Floats
    projections: Floats
    rest: Floats
    target_square: Floats
    row_basis: Floats | None = None

    @classmethod
    def of_moments(cls, moments: Moments) -> Self:
        """From G; eigenvalues below max(n, D) machine epsilons of the largest are null directions."""
        values, vectors = eigen(moments.gram_lower)
        rank = _rank(values, max(moments.n, values.size), moments.n)
        squared, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
        projections = vectors.T @ moments.cross / np.sqrt(squared)[:, None]
        rest = _rest(moments.target_square, projections, rank == moments.n)
        return cls(moments.n, squared, vectors, projections, rest, moments.target_square)

    @classmethod
    def of_rows(cls, features: Floats, outputs: Floats) -> Self:
        """From rows (n, D), n <= D, and outputs (n, C), by the n x n matrix of inner products."""
        n, dimension = features.shape
        values, basis = eigen(features @ features.T)
        rank = _rank(values, dimension, n)
        squared, basis = values[::-1][:rank], np.ascontiguousarray(basis[:, ::-1][:, :rank])
        vectors = features.T @ (basis / np.sqrt(squared))
        projections = basis.T @ outputs
        target_square = np.einsum("nc,nc->c", outputs, outputs)
        rest = _rest(target_square, projections, rank == n)
        return cls(n, squared, vectors, projections, rest, target_square, basis)

    @property
    def full_row_rank(self) -> bool:
        """Whether the rank is n, so that a linear model fits every target exactly."""
        return self.squared_singular_values.size == self.n

    def on_grid(self, t: Floats) -> Floats:
        """Q (T, C) = sum_i z_i^2 t/(t + s_i^2) + rest, for every column at every one of `t` (T,)."""
        lost = t[:, None] / (t[:, None] + self.squared_singular_values)
        return np.asarray(lost @ self.projections**2 + self.rest)

    def unexplained(self, t: Floats) -> Unexplained:
        """Q of column c and its derivatives at t[c], `t` (C,), as sums over the r directions."""
        squared, z2 = self.squared_singular_values[:, None], self.projections**2
        # lost = 1 - kept, but as a quotient of its own: at t -> 0 the difference would be rounding.
        kept, lost = squared / (t + squared), t / (t + squared)
        return Unexplained(
            total=(z2 * lost).sum(axis=0) + self.rest,
            slope=(z2 * kept * lost).sum(axis=0),
            curvature=(z2 * kept * lost * (kept - lost)).sum(axis=0),
            residual=(z2 * lost**2).sum(axis=0) + self.rest,
        )

    def posterior_mean(self, t: Floats) -> Floats:
        """(D, C) the weights V diag(s/(t[c] + s^2)) z of each column, `t` (C,)."""
        squared = self.squared_singular_values[:, None]
        return np.asarray(self.vectors @ (np.sqrt(squared) / (t + squared) * self.projections))

    def leverages(self, features: Floats, t: Floats) -> Floats:
        """(m, k) f'(G + t[k] I)^-1 f for rows `features` (m, D); |f|^2/t[k] for the part of f outside the span of F."""
        inside = (features @ self.vectors) ** 2
        square = np.einsum("md,md->m", features, features)
        outside = square - inside.sum(axis=1)
        outside[outside < 1e-10 * square] = 0.0
        return np.asarray(inside @ (1 / (self.squared_singular_values[:, None] + t)) + outside[:, None] / t)


@dataclass(frozen=True)
class Tridiagonal:
    """G = Q T Q' with T tridiagonal and Q a product of D - 1 Householder reflectors; n > D.

    Attributes:
        n: number of examples.
        diagonal: (D,) of T.
        off_diagonal: (D - 1,) of T.
        reflectors: (D - 1, D - 1) LAPACK's vectors of Q below the diagonal.
        reflector_scales: (D - 1,) LAPACK's tau.
        rotated_cross: (D, C) Q'B.
        squared_singular_values: (D,) eigenvalues of T, descending; rounding below zero is set to zero.
        target_square: (C,) y'y.
    """

    n: int
    diagonal: Floats
    off_diagonal: Floats
    reflectors: Floats
    reflector_scales: Floats
    rotated_cross: Floats
    squared_singular_values: Floats
    target_square: Floats

    @classmethod
    def of_moments(cls, moments: Moments) -> Self:
        """By Householder's reduction of G, O(D^3)."""
        diagonal, off_diagonal, reflectors, scales, values = tridiagonalise(moments.gram_lower)
        rotated = _rotate(reflectors, scales, moments.cross, "T")
        squared = np.maximum(values[::-1], 0.0)
        return cls(moments.n, diagonal, off_diagonal, reflectors, scales, rotated, squared, moments.target_square)

    @property
    def full_row_rank(self) -> bool:
        """False: there are more rows than features."""
        return False

    def on_grid(self, t: Floats) -> Floats:
        """Q (T, C) = y'y - b'(G + t I)^-1 b, for every column at every one of `t` (T,); O(T C D)."""
        explained = [np.einsum("dc,dc->c", self.rotated_cross, self._solve(s, self.rotated_cross)) for s in t]
        return np.asarray(self.target_square - np.array(explained))

    def unexplained(self, t: Floats) -> Unexplained:
        """Q of column c and its derivatives at t[c], `t` (C,), by two tridiagonal solves a column."""
        bx, xx, xp = np.empty_like(t), np.empty_like(t), np.empty_like(t)
        for column, s in enumerate(t):
            b = self.rotated_cross[:, column]
            x = self._solve(s, b)
            bx[column], xx[column], xp[column] = b @ x, x @ x, x @ self._solve(s, x)
        total, slope = self.target_square - bx, t * xx
        return Unexplained(total, slope, slope - 2 * t**2 * xp, np.maximum(total - slope, 0.0))

    def posterior_mean(self, t: Floats) -> Floats:
        """(D, C) the weights (G + t[c] I)^-1 b of each column, `t` (C,), rotated back from T's basis."""
        solved = np.stack([self._solve(s, self.rotated_cross[:, c]) for c, s in enumerate(t)], axis=1)
        return _rotate(self.reflectors, self.reflector_scales, solved, "N")

    def leverages(self, features: Floats, t: Floats) -> Floats:
        """(m, k) f'(G + t[k] I)^-1 f for rows `features` (m, D), 1,024 rows at a time; O(m D (D + k))."""
        found = np.empty((features.shape[0], t.size))
        for start in range(0, features.shape[0], _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            rotated = _rotate(self.reflectors, self.reflector_scales, features[rows].T, "T")
            for k, s in enumerate(t):
                found[rows, k] = np.einsum("dm,dm->m", rotated, self._solve(s, rotated))
        return found

    def _solve(self, t: float, right: Floats) -> Floats:
        """(T + t I)^-1 right by the factors L D L'; stable, as the matrix is positive definite for t > 0."""
        pivots, multipliers, info = lapack.dpttrf(self.diagonal + t, self.off_diagonal)
        if info != 0:
            raise InvalidFeatures("the features' second moments are not positive semi-definite to working precision")
        solved, _ = lapack.dpttrs(pivots, multipliers, right)
        return np.asarray(solved)


def _rotate(reflectors: Floats, scales: Floats, columns: Floats, trans: str) -> Floats:
    """Q'columns ("T") or Q columns ("N") for `columns` (D, k); no reflector changes the first row."""
    rotated = np.array(columns, dtype=np.float64, order="F")
    if rotated.shape[1] == 0:
        return rotated
    lower = np.asfortranarray(rotated[1:])
    work = int(lapack.dormqr("L", trans, reflectors, scales, lower, -1)[1][0])
    rotated[1:] = lapack.dormqr("L", trans, reflectors, scales, lower, work, overwrite_c=1)[0]
    return rotated


def _rank(ascending: Floats, size: int, most: int) -> int:
    """The number of eigenvalues of a positive semi-definite matrix that are above rounding; at most `most`."""
    cut = size * np.finfo(np.float64).eps * max(ascending[-1], 0.0)
    return min(int((ascending > cut).sum()), most)


def _rest(target_square: Floats, projections: Floats, full_row_rank: bool) -> Floats:
    """(C,) the part of y'y outside the span of F."""
    if full_row_rank:
        return np.zeros_like(target_square)
    return np.asarray(np.maximum(target_square - (projections**2).sum(axis=0), 0.0))
