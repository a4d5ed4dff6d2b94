"""The probability that SGD gets from one task to another, and the time it takes.

Achille, Mbeng & Soatto 2018. SGD diffuses with Dif = k eta / |B|. Reaching a task across a rise dC in
complexity has static probability exp(-dC / (2 Dif)), and takes 1/rate with Kramers' rate c exp(-dC / Dif). k and c are
not known beforehand: `fit_kramers` fits them to runs whose convergence times were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh

from frontrunner.discrepancy.covariance import require_finite, require_symmetric
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, TooFewPoints


def transition_probability(barrier: float, diffusion: float) -> float:
    """exp(-dC / (2 Dif)), the static part of the probability of a transition; at most 1.

    Args:
        barrier: dC, a difference of complexities; at or below 0 the probability is 1.
        diffusion: Dif > 0.

    Raises:
        InvalidDiscrepancyInput: Dif is not positive, or dC not a number.

    Source: Achille et al. 2018.

    Example:
        >>> transition_probability(0.0, 0.1), round(transition_probability(0.2, 0.1), 3)
        (1.0, 0.368)
    """
    _require_diffusion(barrier, diffusion)
    return math.exp(-max(barrier, 0.0) / (2 * diffusion))


@dataclass(frozen=True)
class KramersModel:
    """Convergence time tau = exp(dC / Dif) / c with Dif = k eta / |B|.

    Attributes:
        c: attempts per unit of time, > 0; time is in the unit the runs were measured in (steps, seconds).
        k: diffusion per learning rate over batch size, > 0.
        r_squared: share of the variance of log tau that the fit explains, over the runs it was made from.
        residual: standard deviation of log tau around the fit; a prediction is good to a factor of exp(residual).
        runs: how many it was fitted to.

    Example:
        >>> KramersModel(c=2.0, k=3.0).time(barrier=0.0, learning_rate=0.1, batch_size=10)
        0.5
    """

    c: float
    k: float
    r_squared: float = math.nan
    residual: float = math.nan
    runs: int = 0

    def diffusion(self, learning_rate: float, batch_size: int) -> float:
        """Dif = k eta / |B|."""
        return self.k * learning_rate / batch_size

    def rate(self, barrier: float, learning_rate: float, batch_size: int) -> float:
        """Kramers' rate c exp(-dC / Dif), per unit of time."""
        diffusion = self.diffusion(learning_rate, batch_size)
        _require_diffusion(barrier, diffusion)
        return self.c * math.exp(-barrier / diffusion)

    def time(self, barrier: float, learning_rate: float, batch_size: int) -> float:
        """1 / rate, infinite where that underflows: the predicted fine-tuning time."""
        rate = self.rate(barrier, learning_rate, batch_size)
        return 1.0 / rate if rate > 0 else math.inf


def fit_kramers(
    barriers: ArrayLike, learning_rates: ArrayLike, batch_sizes: ArrayLike, times: ArrayLike
) -> KramersModel:
    """c and k by least squares on log tau = -log c + (1/k) dC |B| / eta.

    Args:
        barriers, learning_rates, batch_sizes, times: (runs,) each; times positive, three runs or more.

    Raises:
        TooFewPoints: fewer than three runs, or all with the same dC |B| / eta.
        InvalidDiscrepancyInput: shapes or ranges, or times that fall as the barrier rises: then no k describes them.

    Source: Kramers 1940, as Achille et al. 2018 use it.

    Example:
        >>> truth = KramersModel(c=2.0, k=3.0)
        >>> barriers = [0.0, 0.01, 0.02]
        >>> found = fit_kramers(barriers, [0.1] * 3, [10] * 3, [truth.time(b, 0.1, 10) for b in barriers])
        >>> round(found.c, 6), round(found.k, 6)
        (2.0, 3.0)
    """
    columns = [np.asarray(values, dtype=np.float64) for values in (barriers, learning_rates, batch_sizes, times)]
    barrier, rate, batch, time = columns
    if barrier.ndim != 1 or any(column.shape != barrier.shape for column in columns):
        raise InvalidDiscrepancyInput(f"expected four (runs,) arrays, got {[column.shape for column in columns]}")
    for column in columns:
        require_finite(column, "the measured runs")
    if barrier.size and (min(rate.min(), batch.min(), time.min()) <= 0):
        raise InvalidDiscrepancyInput("learning rates, batch sizes and times must be positive")
    x = barrier * batch / rate
    if x.size < 3 or np.ptp(x) == 0:
        raise TooFewPoints(f"three runs with different barriers are needed, got {x.size}")
    y = np.log(time)
    centred = x - x.mean()
    slope = float((centred @ y) / (centred @ centred))
    if slope <= 0:
        raise InvalidDiscrepancyInput(
            f"times fall as the barrier rises (slope {slope:.3g}): no diffusion explains that"
        )
    intercept = float(y.mean() - slope * x.mean())
    left = y - intercept - slope * x
    total = float(((y - y.mean()) ** 2).sum())
    residual = math.sqrt(float(left @ left) / (x.size - 2))
    return KramersModel(math.exp(-intercept), 1 / slope, 1 - float(left @ left) / total, residual, x.size)


def effective_potential(loss: float, hessian: ArrayLike, diffusion: float) -> float:
    """U + Dif log |H|_+, with |H|_+ the product of the positive eigenvalues: sharp minima are raised.

    The paper prints this with both signs; its eq. 13 and section 6 give plus. Comparable between points of one space.

    Args:
        loss: U.
        hessian: (d, d) symmetric or (d,); eigenvalues within rounding of 0, or below, do not count.
        diffusion: Dif > 0.

    Raises:
        InvalidDiscrepancyInput: shapes or ranges.

    Example:
        >>> effective_potential(1.0, [10.0, 10.0], 0.1) > effective_potential(1.0, [1.0, 1.0], 0.1)
        True
    """
    _require_diffusion(loss, diffusion)
    given = np.asarray(hessian, dtype=np.float64)
    require_finite(given, "the Hessian")
    # Curvature may be negative here, where a covariance may not.
    values = given if given.ndim == 1 else eigvalsh(require_symmetric(given, "the Hessian"))
    rounding = values.size * np.finfo(np.float64).eps * float(np.abs(values).max(initial=0.0))
    return loss + diffusion * float(np.log(values[values > rounding]).sum())


def _require_diffusion(barrier: float, diffusion: float) -> None:
    if math.isnan(barrier) or not 0 < diffusion < math.inf:
        raise InvalidDiscrepancyInput(f"expected a number and a positive diffusion, got {barrier} and {diffusion}")
