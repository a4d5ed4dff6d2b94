"""What LogME's model says of each row without that row: residuals, leverages and predictive densities.

By the envelope theorem alpha and beta may stay those of all rows, to first order: at the maximum of the evidence
log p(y) - log p(y without i) = log p(y_i | the rest). So the influence of a row on LogME is its log predictive density.
"""

from __future__ import annotations

from math import pi

import numpy as np

from frontrunner.scores.scoring_input import Rows
from frontrunner.scores.spectrum import Eigenbasis, Spectrum
from frontrunner.statistics import Floats

# A row's leverage at every column's t is interpolated between Chebyshev nodes in log t to this error. The leverage is a
# sum of logistic functions of log t, whose nearest poles lie pi away: over a range of 2 a, k nodes err by about rho^-k
# with log rho = arsinh(pi / a) (Trefethen, "Approximation Theory and Approximation Practice", 2013, theorem 8.2).
_INTERPOLATION_ERROR = 1e-3


def leave_one_out(spectrum: Spectrum, rows: Rows, t: Floats) -> tuple[Floats, Floats]:
    """(m, C) residual y - f'w of each row and column in the fit of all rows, and (m, C) 1 - h, 0 to 1.

    h = f'(G + t I)^-1 f is the row's leverage. A fit without the row leaves it the residual (y - f'w) / (1 - h), with
    variance 1 / (beta (1 - h)).

    Args:
        spectrum: of all rows.
        rows: some of them; all of them where the spectrum was made from rows.
        t: (C,) alpha/beta of each column.
    """
    if isinstance(spectrum, Eigenbasis) and spectrum.row_basis is not None:
        # From lost = t/(t + s^2) directly: at t -> 0 both results vanish, and their ratio has to keep its digits.
        basis, lost = spectrum.row_basis, t / (t + spectrum.squared_singular_values[:, None])
        outside = np.maximum(1.0 - np.einsum("nr,nr->n", basis, basis), 0.0)
        residual = basis @ (spectrum.projections * lost)
        if not spectrum.full_row_rank:
            residual += rows.outputs - basis @ spectrum.projections
            return residual, basis**2 @ lost + outside[:, None]
        return residual, basis**2 @ lost
    residual = rows.outputs - rows.features @ spectrum.posterior_mean(t)
    nodes, weights = _interpolation(t)
    leverage = spectrum.leverages(rows.features, nodes) @ weights
    return residual, np.clip(1.0 - leverage, np.finfo(np.float64).eps, 1.0)


def log_predictive_density(residual: Floats, unseen: Floats, beta: Floats) -> Floats:
    """(m, C) log p(y_i | every other row), natural logarithms.

    Args:
        residual: (m, C), from `leave_one_out`.
        unseen: (m, C) 1 - h, from `leave_one_out`.
        beta: (C,) noise precision of each column.
    """
    precision = beta * unseen
    return np.asarray(0.5 * np.log(precision / (2 * pi)) - 0.5 * beta * residual**2 / unseen)


def _interpolation(t: Floats) -> tuple[Floats, Floats]:
    """Nodes (k,) and weights (k, C) with g(t[c]) = sum_k weights[k, c] g(nodes[k]) for g smooth in log t."""
    u = np.log(t)
    low, high = u.min(), u.max()
    if low == high:
        return t[:1], np.ones((1, t.size))
    centre, half = (low + high) / 2, (high - low) / 2
    count = int(np.ceil(-np.log(_INTERPOLATION_ERROR) / np.arcsinh(pi / half)))
    if t.size <= count:
        return t, np.eye(t.size)
    nodes = centre + half * np.cos((2 * np.arange(count) + 1) * pi / (2 * count))
    weights = np.ones((count, t.size))
    for k in range(count):
        for other in range(count):
            if other != k:
                weights[k] *= (u - nodes[other]) / (nodes[k] - nodes[other])
    return np.exp(nodes), weights
