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

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from scipy.linalg import lapack

from frontrunner.errors import InvalidFeatures
from frontrunner.scores.moments import Moments, Reflector, mean_first
from frontrunner.scores.symmetric import eigen, tridiagonalise
from frontrunner.statistics import Floats

_ROWS_AT_ONCE = 1024


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

    def solve(self, right: Floats, t: Floats) -> Floats:
        """(D, C) (G + t[c] I)^-1 r for each column r of `right` (D, C) in the span of the rows."""
        ...

    def leverages(self, features: Floats, t: Floats) -> Floats:
        """(m, k) f'(G + t[k] I)^-1 f for rows `features` (m, D) at every one of `t` (k,)."""
        ...


def decompose(moments: Moments) -> Spectrum:
    """`Tridiagonal` for n > D, `Eigenbasis` otherwise: the faster decomposition that loses no digits.

    Raises:
        InvalidFeatures: a target column is zero for every example.
    """
    _require_no_zero_target(moments.target_square)
    if moments.n > moments.mean.size:
        return Tridiagonal.of_moments(moments)
    return Eigenbasis.of_moments(moments)


@dataclass(frozen=True)
class Eigenbasis:
    """The eigenvectors of G of rank r, without its null directions.

    Attributes:
        n: number of examples.
        squared_singular_values: (r,) s_i^2, descending.
        projections: (r, C) z_i.
        rest: (C,) the part of y'y outside the span of F; exactly 0 where the rank is n.
        target_square: (C,) y'y.
        row_basis: (n, r) U with F = U diag(s) V', if made from rows; None otherwise.
    """

    n: int
    squared_singular_values: Floats
    projections: Floats
    rest: Floats
    target_square: Floats
    row_basis: Floats | None
    _make_vectors: Callable[[], Floats]

    @cached_property
    def vectors(self) -> Floats:
        """(D, r) V; made on first use, as the evidence of rows needs none."""
        return self._make_vectors()

    @classmethod
    def of_moments(cls, moments: Moments) -> Self:
        """From G; eigenvalues below max(n, D) machine epsilons of the largest are null directions."""
        reflector, lower, cross = mean_first(moments)
        values, vectors = eigen(lower)
        rank = _rank(values, float(np.trace(moments.scatter_lower)), max(moments.n, values.size), moments.n)
        squared, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
        projections = vectors.T @ cross / np.sqrt(squared)[:, None]
        rest = _rest(moments.target_square, projections, rank == moments.n)
        return cls(moments.n, squared, projections, rest, moments.target_square, None, lambda: reflector.apply(vectors))

    @classmethod
    def of_rows(cls, mean: Floats, centred: Floats, outputs: Floats) -> Self:
        """From the mean (D,), the rows less the mean (n, D), n <= D, and outputs (n, C), by inner products (n, n).

        Raises:
            InvalidFeatures: a target column is zero for every example.
        """
        n, dimension = centred.shape
        target_square = np.einsum("nc,nc->c", outputs, outputs)
        _require_no_zero_target(target_square)
        length = float(np.linalg.norm(mean)) * np.sqrt(n)
        along = centred @ mean * (np.sqrt(n) / length) if length else np.zeros(n)
        reflector = Reflector.to_first_axis(np.ones(n))
        inner = reflector.apply_to_both_sides(centred @ centred.T)
        # The rows less their mean add up to zero, so nothing but the mean is left in the first place.
        inner[0] = inner[:, 0] = length * reflector.sign * reflector.apply(along[:, None])[:, 0]
        inner[0, 0] = length**2
        values, basis = eigen(inner)
        rank = _rank(values, float(np.einsum("nd,nd->", centred, centred)), dimension, n)
        squared, basis = values[::-1][:rank], reflector.apply(basis[:, ::-1][:, :rank])
        projections = basis.T @ outputs
        rest = _rest(target_square, projections, rank == n)

        def vectors() -> Floats:
            scaled = basis / np.sqrt(squared)
            return np.asarray(centred.T @ scaled + np.outer(mean, scaled.sum(axis=0)))

        return cls(n, squared, projections, rest, target_square, basis, vectors)

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

    def solve(self, right: Floats, t: Floats) -> Floats:
        """(D, C) (G + t[c] I)^-1 r for each column r of `right` (D, C) in the span of the rows."""
        return np.asarray(self.vectors @ (self.vectors.T @ right / (t + self.squared_singular_values[:, None])))

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
        first: the reflector that put the mean on the first axis.
        reflectors: (D - 1, D - 1) LAPACK's vectors of Q below the diagonal, after the first reflector.
        reflector_scales: (D - 1,) LAPACK's tau.
        rotated_cross: (D, C) Q'B.
        squared_singular_values: (D,) eigenvalues of T, descending; rounding below zero is set to zero.
        target_square: (C,) y'y.
    """

    n: int
    diagonal: Floats
    off_diagonal: Floats
    first: Reflector
    reflectors: Floats
    reflector_scales: Floats
    rotated_cross: Floats
    squared_singular_values: Floats
    target_square: Floats

    @classmethod
    def of_moments(cls, moments: Moments) -> Self:
        """By Householder's reduction of G, O(D^3)."""
        first, lower, cross = mean_first(moments)
        diagonal, off_diagonal, reflectors, scales, values = tridiagonalise(lower)
        rotated = _rotate(reflectors, scales, cross, "T")
        squared = np.maximum(values[::-1], 0.0)
        return cls(
            moments.n, diagonal, off_diagonal, first, reflectors, scales, rotated, squared, moments.target_square
        )

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
        return self._solve_rotated(self.rotated_cross, t)

    def solve(self, right: Floats, t: Floats) -> Floats:
        """(D, C) (G + t[c] I)^-1 r for each column r of `right` (D, C)."""
        return self._solve_rotated(_rotate(self.reflectors, self.reflector_scales, self.first.apply(right), "T"), t)

    def _solve_rotated(self, right: Floats, t: Floats) -> Floats:
        solved = np.stack([self._solve(s, right[:, c]) for c, s in enumerate(t)], axis=1)
        return self.first.apply(_rotate(self.reflectors, self.reflector_scales, solved, "N"))

    def leverages(self, features: Floats, t: Floats) -> Floats:
        """(m, k) f'(G + t[k] I)^-1 f for rows `features` (m, D), 1,024 rows at a time; O(m D (D + k))."""
        found = np.empty((features.shape[0], t.size))
        for start in range(0, features.shape[0], _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            rotated = _rotate(self.reflectors, self.reflector_scales, self.first.apply(features[rows].T), "T")
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
    """Q'columns ("T") or Q columns ("N") for `columns` (D, k), which may be written over; the first row stays."""
    rotated = np.asfortranarray(columns, dtype=np.float64)
    if rotated.shape[0] == 1:
        return rotated
    lower = np.asfortranarray(rotated[1:])
    work = int(lapack.dormqr("L", trans, reflectors, scales, lower, -1)[1][0])
    rotated[1:] = lapack.dormqr("L", trans, reflectors, scales, lower, work, overwrite_c=1)[0]
    return rotated


def _rank(ascending: Floats, spread: float, size: int, most: int) -> int:
    """The number of eigenvalues of G that are above rounding, at most `most`; `spread` is the trace of the scatter."""
    # Where the mean makes the largest eigenvalue, the others are rounded by the scatter's size, not by that one's.
    cut = size * np.finfo(np.float64).eps * min(ascending[-1], spread)
    return min(int((ascending > cut).sum()), most)


def _rest(target_square: Floats, projections: Floats, full_row_rank: bool) -> Floats:
    """(C,) the part of y'y outside the span of F."""
    if full_row_rank:
        return np.zeros_like(target_square)
    return np.asarray(np.maximum(target_square - (projections**2).sum(axis=0), 0.0))


def _require_no_zero_target(target_square: Floats) -> None:
    if (target_square <= 0).any():
        raise InvalidFeatures("a target column is zero for every example; its evidence has no maximum")
