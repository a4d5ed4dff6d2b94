"""Generalisation bounds from SGD seen as a stochastic differential equation.

Wang & Mao, "Two Facets of SDE Under an Information-Theoretic Lens" (2022): for an R-subgaussian loss, n examples and d
parameters, the expected gap is bounded along the trajectory (every step's gradient noise) or by the terminal state
(the stationary distribution's covariance). Both have the form sqrt(R^2/n (d log(tr / d) - E log det)), which is not
negative (Jensen and AM-GM) and does not change when all gradients are scaled by one factor.

A noise covariance needs more examples than dimensions to have a log det: with fewer the bound is infinite. Work in a
subspace of d well below n. Bounds on a loss in [0, 1] have R = 1/2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh

from frontrunner.discrepancy.covariance import require_finite, semidefinite_factor
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, NotPositiveSemidefinite, TooFewPoints
from frontrunner.statistics import Floats


@dataclass(frozen=True)
class StepMoments:
    """The moments of one step that the trajectory bounds need; expectations over training sets are bootstrapped.

    Attributes:
        dimension: d.
        deviation_and_noise: (d, d) E[C_t + (G - g)(G - g)'].
        noise_log_det: E log det C_t; minus infinity where the noise is singular.
    """

    dimension: int
    deviation_and_noise: Floats
    noise_log_det: float


def bootstrap_step(gradients: ArrayLike, batch_size: int, *, resamples: int = 20, seed: int = 0) -> StepMoments:
    """One step's moments from per-example gradients at the step's weights.

    Each resample of the examples stands for another training set: its mean is G, its covariance over the batch size is
    the noise C_t; the mean over resamples is the reference g.

    Args:
        gradients: (n, d) per-example gradients, in the head or a subspace; n well above d.
        batch_size: |B| >= 1.
        resamples: at least 2.

    Raises:
        InvalidDiscrepancyInput: shapes or ranges; values that are not finite.

    Example:
        >>> gradients = np.random.default_rng(0).normal(size=(400, 3))  # noise of variance 1/10 in a batch of 10
        >>> step = bootstrap_step(gradients, batch_size=10)
        >>> round(float(np.trace(step.deviation_and_noise)) / step.dimension, 2)
        0.1
    """
    rows = np.asarray(gradients, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] == 0 or batch_size < 1 or resamples < 2:
        raise InvalidDiscrepancyInput(
            f"expected gradients (n >= 2, d), batch_size >= 1 and resamples >= 2, got {rows.shape}, {batch_size} and "
            f"{resamples}"
        )
    require_finite(rows, "gradients")
    n, d = rows.shape
    generator = np.random.default_rng(seed)
    means, noise, log_dets = np.empty((resamples, d)), np.zeros((d, d)), np.empty(resamples)
    for index in range(resamples):
        drawn = rows[generator.integers(n, size=n)]
        means[index] = drawn.mean(axis=0)
        centred = drawn - means[index]
        covariance = centred.T @ centred / (n * batch_size)
        noise += covariance / resamples
        log_dets[index] = _log_det(covariance)
    means -= means.mean(axis=0)
    return StepMoments(d, noise + means.T @ means / resamples, float(log_dets.mean()))


def trajectory_bound(steps: list[StepMoments], n: int, subgaussian: float = 0.5) -> float:
    """sqrt(R^2/n sum_t [ d log((E|G - g|^2 + tr C_t)/d) - E log det C_t ]), with an isotropic reference.

    Args:
        steps: one `StepMoments` for each step; a sum, so steps left out make it too small.
        n: training examples.
        subgaussian: R; 1/2 for a loss in [0, 1].

    Returns:
        A bound on the expected gap, >= 0; infinite where the noise is singular.

    Raises:
        TooFewPoints: no step.
        InvalidDiscrepancyInput: n or R out of range, or steps of different dimension.

    Source: Wang & Mao 2022, the trajectory bound.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> step = bootstrap_step(rng.normal(size=(400, 3)), batch_size=10)
        >>> bound = trajectory_bound([step] * 100, n=400)
        >>> anisotropic_trajectory_bound([step] * 100, n=400) <= bound
        True
    """
    _require_steps(steps, n, subgaussian)
    traces = [float(np.trace(step.deviation_and_noise)) / step.dimension for step in steps]
    first = [step.dimension * _log(trace) for step, trace in zip(steps, traces, strict=True)]
    return _root(first, [step.noise_log_det for step in steps], n, subgaussian)


def anisotropic_trajectory_bound(steps: list[StepMoments], n: int, subgaussian: float = 0.5) -> float:
    """`trajectory_bound` with log det E[C_t + (G - g)(G - g)'] for its first term: never above it.

    Source: Wang & Mao 2022. Arguments and errors as for `trajectory_bound`.

    Example:
        >>> step = StepMoments(2, deviation_and_noise=np.diag([1.0, 4.0]), noise_log_det=np.log(4.0))
        >>> anisotropic_trajectory_bound([step], n=100), round(trajectory_bound([step], n=100), 4)
        (0.0, 0.0334)
    """
    _require_steps(steps, n, subgaussian)
    first = [_log_det(step.deviation_and_noise) for step in steps]
    return _root(first, [step.noise_log_det for step in steps], n, subgaussian)


def terminal_state_bound(weights: ArrayLike, covariances: ArrayLike, n: int, subgaussian: float = 0.5) -> float:
    """sqrt(R^2/n [ d log((E|w_S - w|^2 + E tr S_S)/d) - E log det S_S ]), Q = N(w_S, S_S) where training ended.

    Args:
        weights: (resamples, d) w_S for each bootstrapped training set; w is their mean.
        covariances: (resamples, d, d), or (resamples, d) diagonals, the stationary covariance S_S of each.
        n: training examples.
        subgaussian: R; 1/2 for a loss in [0, 1].

    Returns:
        A bound on the expected gap, >= 0; infinite where a covariance is singular.

    Raises:
        TooFewPoints: no resample.
        InvalidDiscrepancyInput: shapes or ranges; values that are not finite.
        NotPositiveSemidefinite: a covariance with a negative eigenvalue.

    Source: Wang & Mao 2022, the terminal-state bound.

    Example:
        >>> terminal_state_bound(np.zeros((2, 3)), np.ones((2, 3)), n=100)
        0.0
    """
    w, s = np.asarray(weights, dtype=np.float64), np.asarray(covariances, dtype=np.float64)
    if w.ndim != 2 or s.shape not in (w.shape, (*w.shape, w.shape[-1])):
        raise InvalidDiscrepancyInput(
            f"expected weights (m, d) and covariances (m, d[, d]), got {w.shape} and {s.shape}"
        )
    if w.shape[0] == 0 or w.shape[1] == 0:
        raise TooFewPoints("no bootstrapped training set was given")
    _require_n(n, subgaussian)
    require_finite(w, "weights")
    require_finite(s, "covariances")
    d = w.shape[1]
    deviation = float(((w - w.mean(axis=0)) ** 2).sum(axis=1).mean())
    if s.ndim == 2:
        if (s < 0).any():
            raise NotPositiveSemidefinite("a diagonal covariance holds a negative variance")
        trace = float(s.sum(axis=1).mean())
        with np.errstate(divide="ignore"):
            log_det = float(np.log(s).sum(axis=1).mean())
    else:
        trace = float(np.trace(s, axis1=1, axis2=2).mean())
        log_det = float(np.mean([semidefinite_factor(one, "a terminal covariance")[1] for one in s]))
    return _root([d * _log((deviation + trace) / d)], [log_det], n, subgaussian)


def _root(spread: list[float], log_dets: list[float], n: int, subgaussian: float) -> float:
    if -math.inf in log_dets:
        return math.inf
    # Not negative by AM-GM and Jensen; rounding may say otherwise where both sides agree.
    return subgaussian * math.sqrt(max(sum(spread) - sum(log_dets), 0.0) / n)


def _require_steps(steps: list[StepMoments], n: int, subgaussian: float) -> None:
    _require_n(n, subgaussian)
    if not steps:
        raise TooFewPoints("the trajectory has no step")
    if len({step.dimension for step in steps}) > 1:
        raise InvalidDiscrepancyInput("the steps were measured in spaces of different dimension")


def _require_n(n: int, subgaussian: float) -> None:
    if n < 1 or not 0 < subgaussian < math.inf:
        raise InvalidDiscrepancyInput(f"n must be at least 1 and R positive, got {n} and {subgaussian}")


def _log_det(matrix: Floats) -> float:
    """log det with eigenvalues within rounding of 0 taken as 0: a sampled covariance of too few rows is singular."""
    values = eigvalsh(matrix, check_finite=False)
    if values[0] <= values.size * np.finfo(np.float64).eps * values[-1]:
        return -math.inf
    return float(np.log(values).sum())


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
