"""The tree that distances make, for the drawing beside their heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform


def tree_of(distance: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Average linkage of the mean of both directions.

    Args:
        distance: (n, n), at least 0; what is not finite counts as the largest.

    Returns:
        `order`, the n places as the leaves stand beside each other; `links`, lines (distance, place, distance, place),
        of which leaf i of the order stands at i + 0.5.

    Example:
        >>> found = tree_of([[0, 1, 8], [1, 0, 10], [8, 10, 0]])
        >>> found["order"], found["links"][-2]
        ([2, 0, 1], (9.0, 0.5, 9.0, 2.0))
    """
    count = len(distance)
    if count < 2:
        return {"order": list(range(count)), "links": []}
    given = np.asarray(distance, dtype=np.float64)
    given = np.nan_to_num(given, nan=np.inf, posinf=np.inf)
    given[~np.isfinite(given)] = given[np.isfinite(given)].max()
    both = np.maximum((given + given.T) / 2, 0.0)
    np.fill_diagonal(both, 0.0)
    joined = linkage(squareform(both, checks=False), "average")
    drawn = dendrogram(joined, no_plot=True)
    # scipy's leaves stand at 5, 15, 25...; a branch is two ends of four points.
    links = [
        (float(far[end]), float(along[end]) / 10, float(far[end + 1]), float(along[end + 1]) / 10)
        for far, along in zip(drawn["dcoord"], drawn["icoord"], strict=True)
        for end in range(3)
    ]
    return {"order": [int(leaf) for leaf in leaves_list(joined)], "links": links}
