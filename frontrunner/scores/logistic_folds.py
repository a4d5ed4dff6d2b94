"""Multinomial logistic regression of all folds of a cross-validation at once, along a path of penalties.

Of fold f let m rows be in training. Weights W (D, C) and an intercept b minimise

    1/m sum log-loss(X W + b) + lambda / 2m |W|^2

The minimum lies in the span of the rows, W = X'A. So do all gradients, and inner products of two such weights need only
A and Z = X X' A: <W1, W2> = <A1, Z2>. A step therefore costs one product with X X', the same for every fold, as one
large product of all folds' columns; line searches move A and Z along a known direction and cost none. Z has
the logits of held-out rows, too.

The steps are those of L-BFGS. It starts from a quadratic model of the loss in which all rows have the mean curvature:
(c / n X X' + lambda/m)^-1, the largest eigenvalues of X X' one by one and the others by their mean. Products are
float32: their rounding is a hundredth of what the tolerance leaves. Each penalty starts as far beyond the minimum for
the one before as that is from the minimum before it, all by a factor of ten apart: half of the steps less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.symmetric import eigen
from frontrunner.statistics import Floats

Singles = NDArray[np.float32]

# Of the gradient of the mean loss by W and b, in the Euclidean norm; features are standardised.
TOLERANCE = 2e-3
ROUNDS = 100
# Pairs of steps that L-BFGS remembers: more save a few products and cost as much time in sums.
_MEMORY = 3
_LEADING = 64
# Folds are taken together while one of their arrays (F, C, n) has no more elements. Some twenty of them are held: with
# hundreds of classes this bounds memory, at no cost in time, as a product is wide enough by then.
_ELEMENTS = 131_072
# A step that so many shortenings do not turn into progress has met rounding.
_SHORTENINGS = 20
_SUFFICIENT = 1e-4
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Kernel:
    """X X' for rows X (n, D), as a product, with its leading Ritz pairs.

    Attributes:
        times: V (k, n) to V X X'.
        vectors: (r, n) orthonormal, in rows.
        times_vectors: (r, n) `vectors` X X'.
        values: (r,) positive Ritz values.
        rest: mean of the other eigenvalues.
    """

    times: Callable[[Singles], Singles]
    vectors: Singles
    times_vectors: Singles
    values: Floats
    rest: float

    @classmethod
    def of(cls, features: Singles) -> Self:
        """From rows (n, D)."""
        n, dimension = features.shape
        if n < 2 * dimension:
            inner = features @ features.T

            def times(v: Singles) -> Singles:
                return np.asarray(v @ inner)
        else:

            def times(v: Singles) -> Singles:
                return np.asarray((v @ features) @ features.T)

        # One round of subspace iteration: near the leading eigenvectors is all that a first model needs.
        basis = np.random.default_rng(0).standard_normal((min(_LEADING, n), n), dtype=np.float32)
        basis = np.ascontiguousarray(np.linalg.qr(times(basis).T)[0].T)
        times_basis = times(basis)
        values, turn = eigen((basis @ times_basis.T).astype(np.float64))
        trace = float(np.einsum("nd,nd->", features, features, dtype=np.float64))
        kept = values > 1e-6 * trace / n
        into: Singles = turn[:, kept].T.astype(np.float32)
        rest = max(trace - float(values[kept].sum()), 0.0) / max(n - np.count_nonzero(kept), 1)
        return cls(times, np.asarray(into @ basis), np.asarray(into @ times_basis), values[kept], rest)


@dataclass(frozen=True)
class _Vector:
    """Weights X'A and intercepts of F folds, with the logits that they give.

    Attributes:
        dual: (F, C, n) A.
        logits: (F, C, n) A X X'.
        intercept: (F, C).
    """

    dual: Singles
    logits: Singles
    intercept: Floats

    def dot(self, other: _Vector) -> Floats:
        """(F,) inner products of the weights and intercepts."""
        folds = len(self.dual)
        along = np.vecdot(self.dual.reshape(folds, -1), other.logits.reshape(folds, -1)).astype(np.float64)
        return np.asarray(along + np.vecdot(self.intercept, other.intercept))

    def plus(self, factor: Floats, other: _Vector) -> _Vector:
        """self + factor other, `factor` (F,)."""
        single = factor.astype(np.float32)[:, None, None]
        return _Vector(
            self.dual + single * other.dual,
            self.logits + single * other.logits,
            self.intercept + factor[:, None] * other.intercept,
        )

    def minus(self, other: _Vector) -> _Vector:
        """self - other."""
        return _Vector(self.dual - other.dual, self.logits - other.logits, self.intercept - other.intercept)


@dataclass(frozen=True)
class _Point:
    """The loss at some weights.

    Attributes:
        at: the weights.
        loss: (F,) mean log-loss and penalty.
        likelihood: (F, C, n) derivatives of the mean log-loss by the logits; 0 for held-out rows.
        curvature: (F,) mean second derivative of the log-loss, over rows and directions between classes.
    """

    at: _Vector
    loss: Floats
    likelihood: Singles
    curvature: Floats


def held_out_predictions(
    features: Singles, codes: NDArray[np.int64], folds: NDArray[np.int64], strengths: Sequence[float]
) -> NDArray[np.int64]:
    """(S, n) the class that each row is predicted while its fold is held out, at each of S penalties.

    A class without a row in training is never predicted. With two classes the penalty is, as usual, that of the one
    vector of weights which is their difference.

    Args:
        features: (n, D) standardised.
        codes: (n,) class of each row, 0 .. C - 1.
        folds: (n,) fold of each row, 0 .. F - 1.
        strengths: (S,) 1/lambda, the strongest penalty, that is the smallest number, first.
    """
    kernel = _Kernel.of(features)
    count = int(folds.max()) + 1
    together = max(1, _ELEMENTS // (codes.size * (int(codes.max()) + 1)))
    found = np.empty((len(strengths), codes.size), dtype=np.int64)
    for start in range(0, count, together):
        held = folds == np.arange(start, min(start + together, count))[:, None]
        fold, row = np.nonzero(held)
        for into, logits in zip(found, _Regressions(kernel, codes, ~held).path(strengths), strict=True):
            into[row] = logits.argmax(axis=1)[fold, row]
    return found


class _Regressions:
    """The regressions of F folds of n rows.

    Args:
        kernel: of the rows.
        codes: (n,) class of each row, 0 .. C - 1.
        training: (F, n) which rows each fold is fitted to.
    """

    def __init__(self, kernel: _Kernel, codes: NDArray[np.int64], training: NDArray[np.bool_]) -> None:
        self._kernel, self._codes = kernel, codes
        self._rows = np.arange(codes.size)
        self._size = training.sum(axis=1).astype(np.float64)
        self._weight = (training / self._size[:, None]).astype(np.float32)
        counts = np.stack([np.bincount(codes[seen], minlength=int(codes.max()) + 1) for seen in training])
        self._seen = counts > 0

    def path(self, strengths: Sequence[float]) -> Iterator[Singles]:
        """(F, C, n) logits of all rows at each of `strengths`."""
        shape = (*self._seen.shape, self._rows.size)
        before = at = _Vector(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape[:2]))
        pairs = np.where(self._seen.sum(axis=1) == 2, 2.0, 1.0)
        for strength in strengths:
            ahead = at.plus(np.ones(shape[0]), at.minus(before))
            before, at = at, self.minimum(ahead, pairs / (strength * self._size))
            yield self._shifted(at)

    def _shifted(self, at: _Vector) -> Singles:
        """(F, C, n) logits with intercepts; minus infinity for classes without a row in training."""
        intercept = np.where(self._seen, at.intercept, -np.inf).astype(np.float32)
        return np.asarray(at.logits + intercept[:, :, None])

    def _point(self, at: _Vector, penalty: Floats) -> _Point:
        logits = self._shifted(at)
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[:, self._codes, self._rows]
        shares = np.exp(logits, out=logits)
        total = shares.sum(axis=1)
        # Held-out rows may be of a class that has no row in training.
        losses = np.where(self._weight > 0, np.log(total) - own, 0.0) * self._weight
        shares *= (self._weight / total)[:, None]
        square = (
            np.vecdot(shares.reshape(len(shares), -1), shares.reshape(len(shares), -1)).astype(np.float64) * self._size
        )
        curvature = (1.0 - square) / np.maximum(self._seen.sum(axis=1) - 1, 1)
        shares[:, self._codes, self._rows] -= self._weight
        along = _Vector(at.dual, at.logits, np.zeros_like(at.intercept))
        loss = losses.sum(axis=1, dtype=np.float64) + 0.5 * penalty * along.dot(along)
        return _Point(at, loss, shares, curvature)

    def _gradient(self, point: _Point, penalty: Floats) -> _Vector:
        dual = point.likelihood + penalty.astype(np.float32)[:, None, None] * point.at.dual
        return _Vector(dual, self._times(dual), point.likelihood.sum(axis=2).astype(np.float64))

    def _times(self, dual: Singles) -> Singles:
        folds, classes, n = dual.shape
        return self._kernel.times(dual.reshape(folds * classes, n)).reshape(folds, classes, n)

    def minimum(self, start: _Vector, penalty: Floats) -> _Vector:
        """The minimum for `penalty` (F,), to the tolerance."""
        point = self._point(start, penalty)
        gradient = self._gradient(point, penalty)
        curvature = np.maximum(point.curvature, 1e-3)
        history: list[tuple[_Vector, _Vector, Floats]] = []
        for _ in range(ROUNDS):
            unfinished = gradient.dot(gradient) > TOLERANCE**2
            if not unfinished.any():
                break
            direction = self._direction(gradient, history, curvature, penalty)
            moved = self._search(point, gradient, direction, penalty, unfinished)
            grown = self._gradient(moved, penalty)
            step, change = moved.at.minus(point.at), grown.minus(gradient)
            along = step.dot(change)
            inverse = np.divide(1.0, along, out=np.zeros_like(along), where=along > 0)
            history = [*history[1 - _MEMORY :], (step, change, inverse)]
            point, gradient = moved, grown
        return point.at

    def _direction(
        self, gradient: _Vector, history: list[tuple[_Vector, _Vector, Floats]], curvature: Floats, penalty: Floats
    ) -> _Vector:
        """Minus the inverse Hessian of L-BFGS times the gradient (Nocedal & Wright 2006, algorithm 7.4)."""
        found, factors = gradient, []
        for step, change, inverse in reversed(history):
            factors.append(inverse * step.dot(found))
            found = found.plus(-factors[-1], change)
        found = self._modelled(found, curvature, penalty)
        for (step, change, inverse), factor in zip(history, reversed(factors), strict=True):
            found = found.plus(factor - inverse * change.dot(found), step)
        return found

    def _modelled(self, given: _Vector, curvature: Floats, penalty: Floats) -> _Vector:
        """(c / n X X' + lambda)^-1 times `given`; symmetric and positive however good the Ritz pairs are."""
        kernel, n = self._kernel, self._rows.size
        leading = 1.0 / (curvature[:, None] / n * kernel.values + penalty[:, None])
        others = 1.0 / (curvature / n * kernel.rest + penalty)
        lost = ((others[:, None] - leading) / kernel.values).astype(np.float32)
        folds, classes, _ = given.dual.shape
        inside = (given.logits.reshape(-1, n) @ kernel.vectors.T).reshape(folds, classes, -1) * lost[:, None]
        inside = inside.reshape(folds * classes, -1)
        dual, logits = ((inside @ basis).reshape(given.dual.shape) for basis in (kernel.vectors, kernel.times_vectors))
        scale = others.astype(np.float32)[:, None, None]
        return _Vector(
            np.asarray(scale * given.dual - dual),
            np.asarray(scale * given.logits - logits),
            given.intercept / curvature[:, None],
        )

    def _search(
        self, start: _Point, gradient: _Vector, direction: _Vector, penalty: Floats, unfinished: NDArray[np.bool_]
    ) -> _Point:
        """The first point downhill of `start` by enough, each fold for itself (Armijo); finished folds stay."""
        slope = gradient.dot(direction)
        length = np.where(unfinished, 1.0, 0.0)
        for _ in range(_SHORTENINGS):
            point = self._point(start.at.plus(-length, direction), penalty)
            missing = point.loss - start.loss + length * slope
            short = missing > (1 - _SUFFICIENT) * length * slope + _ROUNDING * np.abs(start.loss)
            if not short.any():
                return point
            # To where the parabola through what is known has its minimum.
            ideal = np.divide(0.5 * slope * length**2, missing, out=np.zeros_like(missing), where=short)
            length = np.where(short, np.clip(ideal, 0.1 * length, 0.5 * length), length)
        return self._point(start.at.plus(np.where(short, 0.0, -length), direction), penalty)
