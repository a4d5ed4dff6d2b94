"""Intrinsic dimension of a set of features: how many coordinates describe it locally."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.discrepancy.covariance import require_finite
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, TooFewPoints

# Neighbour search is quadratic in the points; the estimate's own spread is under 2% long before this many.
POINTS = 5000


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
    # The neighbour search comes with scikit-learn, whose import takes a second that importing this package should not.
    from sklearn.neighbors import NearestNeighbors

    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiub" or k < 3:
        raise InvalidDiscrepancyInput(f"expected real features (n, D) and k >= 3, got {matrix.shape} and k = {k}")
    matrix = np.unique(matrix.astype(np.float64), axis=0)
    require_finite(matrix, "features")
    if matrix.shape[0] > points:
        chosen = np.random.default_rng(seed).choice(matrix.shape[0], size=points, replace=False)
        matrix = matrix[np.sort(chosen)]
    if matrix.shape[0] <= k:
        raise TooFewPoints(f"{k} neighbours need more than {k} distinct rows, got {matrix.shape[0]}")
    _, neighbours = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(matrix).kneighbors(matrix)
    distances = _ordered_distances(matrix, neighbours, k)
    inverse = np.log(distances[:, -1:] / distances[:, :-1]).sum(axis=1).mean() / (k - 1)
    if not inverse > 0:
        raise TooFewPoints(f"all {k} neighbours of every point lie at one distance; the points form a lattice")
    return float(1.0 / inverse)


def _ordered_distances(matrix: np.ndarray, neighbours: np.ndarray, k: int) -> np.ndarray:
    """(n, k) ascending distances to the neighbours other than the point itself.

    Recomputed from differences: the search's |x|^2 - 2xy + |y|^2 loses the digits that close neighbours need.
    """
    distances = np.empty((matrix.shape[0], k))
    for row, others in enumerate(neighbours):
        distances[row] = np.sort(np.linalg.norm(matrix[others[others != row][:k]] - matrix[row], axis=1))
    return distances
