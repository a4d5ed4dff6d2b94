"""Linear regression whose coefficients come in groups, each group with a variance that the evidence sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Floats = NDArray[np.float64]
_ROUNDS = 200
# Relative change of every variance below which a fit has settled, and the variance, of the targets', that counts as
# none in this: far below what an order could notice.
_SETTLED, _NOTHING = 1e-3, 1e-4
# Of the targets' variance: a group at this floor is switched off.
_FLOOR = 1e-7


@dataclass(frozen=True)
class VarianceComponents:
    """The posterior of the coefficients.

    Attributes:
        mean: (p,).
        covariance: (p, p).
        variances: (G,) prior variance of a coefficient of each group.
        noise: variance of a target about its mean.
    """

    mean: Floats
    covariance: Floats
    variances: Floats
    noise: float

    def predict(self, design: Floats) -> tuple[Floats, Floats]:
        """(n,) means of the targets, and (n,) variances of these means, noise not counted, for `design` (n, p)."""
        return design @ self.mean, np.einsum("np,pq,nq->n", design, self.covariance, design)


def fit_variance_components(design: Floats, targets: Floats, sizes: Sequence[int]) -> VarianceComponents:
    """y = X w + e with w_j ~ N(0, v_g(j)) and e ~ N(0, s^2); all variances maximise the evidence p(y | X, v, s^2).

    Coefficients need not be determined: there may be more of them than targets.

    Args:
        design: (n, p).
        targets: (n,), centred.
        sizes: (G) columns of each group, in the order of the columns; a group may be empty.

    Source:
        Patterson & Thompson's variance components, found by MacKay's fixed point ("Bayesian interpolation", 1992):
        v_g = |m_g|^2 / gamma_g, s^2 = |y - X m|^2 / (n - sum gamma), gamma_g the effective parameters of group g.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> X = generator.normal(size=(400, 20))
        >>> y = X @ np.r_[generator.normal(size=10), np.zeros(10)] + generator.normal(size=400)
        >>> fit = fit_variance_components(X, y, [10, 10])
        >>> bool(fit.variances[0] > 100 * fit.variances[1]), round(fit.noise, 1)
        (True, 1.0)
    """
    gram, moments, square = design.T @ design, design.T @ targets, float(targets @ targets)
    n, counts = targets.size, np.asarray(sizes)
    groups = np.repeat(np.arange(counts.size), counts)
    scale = square / n or 1.0
    variances, noise = np.full(counts.size, 0.1 * scale), 0.5 * scale
    mean, covariance = _posterior(gram, moments, variances[groups], noise)
    for _ in range(_ROUNDS):
        effective = counts - np.bincount(groups, np.diag(covariance) / variances[groups], counts.size)
        effective = np.maximum(effective, 1e-9)
        new = np.maximum(np.bincount(groups, mean**2, counts.size) / effective, _FLOOR * scale)
        left = max(square - 2 * mean @ moments + mean @ gram @ mean, 0.0)
        noise = max(left / max(n - effective.sum(), 1.0), _FLOOR * scale)
        settled = bool((np.abs(new - variances) <= _SETTLED * (variances + _NOTHING * scale)).all())
        variances = new
        mean, covariance = _posterior(gram, moments, variances[groups], noise)
        if settled:
            break
    return VarianceComponents(mean, covariance, variances, float(noise))


def _posterior(gram: Floats, moments: Floats, variances: Floats, noise: float) -> tuple[Floats, Floats]:
    """Mean and covariance of w, scaled by the prior's deviations: a group that is off stays well conditioned."""
    root = np.sqrt(variances)
    precision = gram * np.outer(root, root) / noise
    precision[np.diag_indices_from(precision)] += 1.0
    factor = cho_factor(precision, lower=True)
    inverse = cho_solve(factor, np.eye(root.size))
    covariance: Floats = inverse * np.outer(root, root)
    return covariance @ moments / noise, covariance
