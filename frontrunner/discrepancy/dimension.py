"""Intrinsic dimension of a set of features: how many coordinates describe it locally."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.discrepancy.covariance import require_finite
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, TooFewPoints

# Neighbour search is quadratic in the points; the estimate's own spread is under 2% long before this many.
POINTS = 5000
_ROWS_AT_ONCE = 256
# Of |x|^2 + |y|^2: a squared distance above has lost four of sixteen digits at most.
_CLOSE = 1e-4
# Logarithms of ratios of such distances are known to this; a smaller mean is one of equal distances.
_ROUNDING = 1e-11


def intrinsic_dimension(features: ArrayLike, k: int = 10, *, points: int = POINTS, seed: int = 0) -> float:
    """Levina & Bickel's maximum likelihood estimate, averaged over points as MacKay & Ghahramani corrected it.

    1 / mean_x [ 1/(k-1) sum_{j<k} log(T_k(x) / T_j(x)) ], T_j(x) the distance from x to its j-th nearest neighbour.
    Rows that occur more than once count once: between copies the distance is 0 and its logarithm has no value.

    Args:
        features: (n, D) real numbers.
        k: neighbours, at least 3.
        points: at most this many distinct rows are used, drawn with `seed`; fewer neighbours per volume bias the
            estimate down, so compare only equal counts.

    Returns:
        A positive number; biased down in high dimension (18 of 48 independent coordinates at n = 260 is typical).

    Raises:
        TooFewPoints: not more than k distinct rows, or all neighbours at one distance.
        InvalidDiscrepancyInput: shapes, k or values that are not finite.

    Source: Levina & Bickel, NIPS 2004; MacKay & Ghahramani, comments on it, 2005.

    Example:
        >>> line = np.outer(np.random.default_rng(0).normal(size=2000), np.ones(30))
        >>> round(intrinsic_dimension(line))
        1
    """
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiub" or k < 3:
        raise InvalidDiscrepancyInput(f"expected real features (n, D) and k >= 3, got {matrix.shape} and k = {k}")
    matrix = matrix.astype(np.float64)
    require_finite(matrix, "features")
    matrix = _distinct(matrix)
    if matrix.shape[0] > points:
        chosen = np.random.default_rng(seed).choice(matrix.shape[0], size=points, replace=False)
        matrix = matrix[np.sort(chosen)]
    if matrix.shape[0] <= k:
        raise TooFewPoints(f"{k} neighbours need more than {k} distinct rows, got {matrix.shape[0]}")
    distances = _nearest_distances(matrix - matrix.mean(axis=0), k)
    inverse = np.log(distances[:, -1:] / distances[:, :-1]).sum(axis=1).mean() / (k - 1)
    if not inverse > _ROUNDING:
        raise TooFewPoints(f"all {k} neighbours of every point lie at one distance; the points form a lattice")
    return float(1.0 / inverse)


def _distinct(matrix: np.ndarray) -> np.ndarray:
    """The rows of (n, D), each once, in the order in which they first occur."""
    # Adding zero makes -0 the same bytes as 0.
    first = {row.tobytes(): index for index, row in reversed(list(enumerate(matrix + 0.0)))}
    return np.asarray(matrix[np.sort(np.fromiter(first.values(), dtype=np.int64))])


def _nearest_distances(centred: np.ndarray, k: int) -> np.ndarray:
    """(n, k) ascending distances of each row (n, D) to its k nearest others; rows are about their mean.

    |x|^2 - 2xy + |y|^2 loses the digits of distances that are small beside |x|; those are computed from differences.
    """
    square = np.einsum("nd,nd->n", centred, centred)
    distances = np.empty((centred.shape[0], k))
    for start in range(0, centred.shape[0], _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, centred.shape[0]))
        squared = square[rows, None] + square - 2.0 * (centred[rows] @ centred.T)
        squared[rows - start, rows] = np.inf
        near = np.argpartition(squared, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(squared, near, axis=1)
        row, place = np.nonzero(found < _CLOSE * (square[rows, None] + square[near]))
        difference = centred[rows[row]] - centred[near[row, place]]
        found[row, place] = np.einsum("md,md->m", difference, difference)
        distances[rows] = np.sqrt(np.sort(found, axis=1))
    return distances
