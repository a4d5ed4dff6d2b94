"""LogME: the log maximum evidence of a linear model on frozen features.

You, Liu, Wang & Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, and
"Ranking and Tuning Pre-trained Models", JMLR 23 (2022). Each output column y is modelled as y ~ N(F w, 1/beta) with
w ~ N(0, I/alpha), without intercept or centring; the score is the mean over columns of max log p(y | F) / n.

With F'F = V diag(s^2) V', z = V'F'y / s, t = alpha/beta and rest = y'y - |z|^2, beta is profiled out
(beta = n / Q(t), Q(t) = sum z_i^2 t/(t + s_i^2) + rest), which leaves one smooth function of u = log t per column:

    L(u) = -n/2 (log(2 pi Q/n) + 1) - 1/2 sum log(1 + s_i^2 / t)

It is searched on a grid for all columns at once (one matrix product) and polished by Newton's method. Published code
stops the fixed-point iteration at a relative change of 1e-3 or after 11 rounds, and its fixed-point version drops the
(D - rank)/2 log alpha part of the determinant, which returns nonsense for n < D; here the definition holds everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from frontrunner.errors import InvalidFeatures, NothingToSeparate
from frontrunner.statistics import FeatureStatistics, Floats

# t is searched in s_max^2 [e^-30, e^+30]: with n <= rank the supremum may lie at t -> 0.
LOG_RANGE = 30.0
_GRID_POINTS = 121
_NEWTON_STEPS = 60
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Evidence:
    """The maximum of LogME's evidence, per output column; arrays of shape (C,).

    Attributes:
        log_evidence: max log p(y | F) / n, natural logarithm; unbounded.
        alpha: precision of the weights' prior.
        beta: precision of the noise.
        effective_parameters: gamma = sum s_i^2 / (t + s_i^2), between 0 and the rank of F.
    """

    log_evidence: Floats
    alpha: Floats
    beta: Floats
    effective_parameters: Floats

    @property
    def score(self) -> float:
        """LogME: the mean of `log_evidence` over columns."""
        return float(self.log_evidence.mean())


@dataclass(frozen=True)
class Spectrum:
    """F'F and F'Y in the eigenbasis of F'F, null directions cut off; rank r.

    Attributes:
        n: number of examples.
        squared_singular_values: (r,) s_i^2, descending.
        projections_squared: (r, C) z_i^2.
        rest: (C,) the part of y'y outside the span of F; exactly 0 where the rank is n.
        target_square: (C,) y'y.
    """

    n: int
    squared_singular_values: Floats
    projections_squared: Floats
    rest: Floats
    target_square: Floats


def occurring_columns(statistics: FeatureStatistics) -> NDArray[np.bool_]:
    """(C,) which target columns are scored: classes that occur, and every real target.

    Raises:
        NothingToSeparate: no example, no target, or a single class.
    """
    if statistics.n == 0 or statistics.cross.shape[1] == 0:
        raise NothingToSeparate("no labelled example was folded in")
    if statistics.classes is None:
        return np.ones(statistics.cross.shape[1], dtype=bool)
    occurring = statistics.target_sum > 0
    if occurring.sum() < 2:
        raise NothingToSeparate(f"{statistics.n} examples are all of one class; two are needed")
    return np.asarray(occurring)


def spectrum(statistics: FeatureStatistics) -> Spectrum:
    """Diagonalise the second moments.

    The Gram matrix is symmetric and positive semi-definite, so a symmetric solver is used; eigenvalues under
    max(n, D) machine epsilons of the largest are null directions.
    """
    columns = occurring_columns(statistics)
    values, vectors = eigh(statistics.gram_lower, lower=True, check_finite=False, driver="evd")
    values, vectors = values[::-1], vectors[:, ::-1]
    cut = max(statistics.n, statistics.dimension) * np.finfo(np.float64).eps * max(values[0], 0.0)
    rank = min(int((values > cut).sum()), statistics.n)
    squared = values[:rank]
    projections = (vectors[:, :rank].T @ statistics.cross[:, columns]) ** 2 / squared[:, None]
    target_square = statistics.target_square_sum[columns]
    if rank == statistics.n:
        rest = np.zeros_like(target_square)
    else:
        rest = np.maximum(target_square - projections.sum(axis=0), 0.0)
    return Spectrum(statistics.n, squared, projections, rest, target_square)


def maximise_evidence(spectrum: Spectrum) -> Evidence:
    """Maximise L(u) for every column; see the module's docstring.

    A target column of zeros has no finite maximum and raises `InvalidFeatures`; features that are all zero leave
    beta = n / y'y and alpha at the upper end of the search.
    """
    n, squared, z2 = spectrum.n, spectrum.squared_singular_values, spectrum.projections_squared
    if (spectrum.target_square <= 0).any():
        raise InvalidFeatures("a target column is zero for every example; its evidence has no maximum")
    # A target that lies in the span of F to machine precision would drive Q to zero: the floor keeps L defined.
    floor = np.finfo(np.float64).tiny if squared.size == n else np.finfo(np.float64).eps
    rest = np.maximum(spectrum.rest, floor * spectrum.target_square)
    scale = squared[0] if squared.size else 1.0

    low, high = np.log(scale) - LOG_RANGE, np.log(scale) + LOG_RANGE
    grid = np.linspace(low, high, _GRID_POINTS)
    t = np.exp(grid)[:, None]
    unexplained = (t / (t + squared)) @ z2 + rest
    coarse = -0.5 * n * np.log(unexplained) - 0.5 * np.log1p(squared / t).sum(axis=1)[:, None]
    best = coarse.argmax(axis=0)
    u = _newton(spectrum, rest, grid[best], grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)])

    t = np.exp(u)
    ratio = squared[:, None] / t
    residual = (z2 * (t / (t + squared[:, None]))).sum(axis=0) + rest
    beta = n / residual
    log_evidence = -0.5 * (np.log(2 * np.pi * residual / n) + 1.0) - 0.5 * np.log1p(ratio).sum(axis=0) / n
    gamma = (squared[:, None] / (t + squared[:, None])).sum(axis=0)
    return Evidence(log_evidence, t * beta, beta, gamma)


def _newton(spectrum: Spectrum, rest: Floats, start: Floats, low: Floats, high: Floats) -> Floats:
    """Root of dL/du in [low, high] per column: Newton steps, halved into the bracket where they leave it."""
    squared, z2, n = spectrum.squared_singular_values[:, None], spectrum.projections_squared, spectrum.n
    u, low, high = start.copy(), low.copy(), high.copy()
    for _ in range(_NEWTON_STEPS):
        t = np.exp(u)
        # kept = s^2 / (t + s^2) and lost = 1 - kept, each from its own quotient: at t -> 0 the difference is rounding.
        kept, lost = squared / (t + squared), t / (t + squared)
        q0 = (z2 * lost).sum(axis=0) + rest
        q1 = (z2 * kept * lost).sum(axis=0)
        q2 = (z2 * kept * lost * (kept - lost)).sum(axis=0)
        slope = -0.5 * n * q1 / q0 + 0.5 * kept.sum(axis=0)
        curvature = -0.5 * n * (q2 / q0 - (q1 / q0) ** 2) - 0.5 * (kept * lost).sum(axis=0)
        low, high = np.where(slope > 0, u, low), np.where(slope > 0, high, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = u - slope / curvature
        inside = (curvature < 0) & (step > low) & (step < high)
        moved = np.where(inside, step, 0.5 * (low + high))
        change = np.abs(moved - u).max(initial=0.0)
        u = moved
        if change < _TOLERANCE:
            break
    return u


def logme_from_statistics(statistics: FeatureStatistics) -> Evidence:
    """LogME with its alpha, beta and effective parameters, from second moments alone."""
    return maximise_evidence(spectrum(statistics))
