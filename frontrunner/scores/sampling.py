"""Which rows a score reads, and which group each row belongs to.

Both depend only on the labels, their order and a fixed seed, not on the features: two checkpoints that read the same
examples are compared on the same rows and the same groups.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

# What an interval is over: examples drawn anew, and class counts with them, or examples drawn anew within each class,
# with class counts as they are.
Draw: TypeAlias = Literal["examples", "within_classes"]

SEED = 0
# Groups of rows left out in turn for an interval. 32 give the standard error to about 13% (1 / sqrt(2 * 31)).
GROUPS = 32


def random_groups(
    n: int, groups: int = GROUPS, seed: int = SEED, clusters: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """(n,) the group of each row, 0 .. min(groups, n) - 1, at random, in groups of nearly equal size.

    Of rows in clusters all rows of a cluster are in one group, and groups have nearly as many clusters.

    Whatever the order of the rows, class counts vary between groups as they do between draws. Shards cannot serve as
    groups: a folder that is read class by class has shards of one class.

    Example:
        >>> np.bincount(random_groups(7, groups=3)).tolist()
        [3, 2, 2]
        >>> random_groups(4, clusters=np.array([7, 7, 9, 7])).tolist()
        [0, 0, 1, 0]
    """
    if clusters is not None:
        number, of_cluster = np.unique(clusters, return_inverse=True)
        return np.asarray(random_groups(number.size, groups, seed)[of_cluster])
    return np.random.default_rng(seed).permutation(np.arange(n) % min(groups, n))


def stratified_folds(
    codes: NDArray[np.int64], folds: int, clusters: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """(n,) the fold of each row, 0 .. min(folds, n) - 1, assigned in turn, class by class.

    Each fold holds nearly the same share of every class. Of rows in clusters each cluster is in one fold, at random:
    whatever its rows have in common helps no prediction of another one of them.

    Example:
        >>> stratified_folds(np.array([0, 0, 0, 1, 1, 1]), folds=3).tolist()
        [0, 1, 2, 0, 1, 2]
    """
    if clusters is not None:
        return random_groups(codes.size, folds, clusters=clusters)
    dealt = np.empty(codes.size, dtype=np.int64)
    dealt[np.argsort(codes, kind="stable")] = np.arange(codes.size) % min(folds, codes.size)
    return dealt


def stratified_sample(codes: NDArray[np.int64] | None, n: int, size: int, seed: int = SEED) -> NDArray[np.int64]:
    """Ascending indices of min(size, n) rows, every class in proportion, with a row of each class where size allows.

    Args:
        codes: (n,) class of each row, or None for real targets (a plain random sample).
        n: number of rows.
        size: number of rows wanted.
        seed: the same seed gives the same rows.

    Example:
        >>> codes = np.repeat([0, 1, 2], [90, 9, 1])
        >>> np.bincount(codes[stratified_sample(codes, 100, 10)]).tolist()
        [7, 2, 1]
    """
    if size >= n:
        return np.arange(n)
    generator = np.random.default_rng(seed)
    if codes is None:
        return np.sort(generator.choice(n, size, replace=False))
    counts = np.bincount(codes)
    quota = _quotas(counts, size)
    shuffled = generator.permutation(n)
    shuffled = shuffled[np.argsort(codes[shuffled], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    taken = [shuffled[start : start + share] for start, share in zip(starts, quota, strict=True)]
    return np.sort(np.concatenate(taken))


def cluster_sample(
    clusters: NDArray[np.int64], codes: NDArray[np.int64] | None, size: int, seed: int = SEED
) -> NDArray[np.int64]:
    """Ascending indices of the rows of whole clusters at random: at most `size` rows, but one cluster at least.

    A cluster with a row of each class comes first, of the rarest class soonest: a sample lacks a class only if it must.

    Args:
        clusters: (n,) cluster of each row.
        codes: (n,) class of each row, or None for real targets.
        size: number of rows wanted.
        seed: the same seed gives the same order of clusters; a smaller sample is a part of a larger one.

    Example:
        >>> cluster_sample(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 0, 1]), 3).tolist()
        [4, 5]
    """
    if size >= clusters.size:
        return np.arange(clusters.size)
    _, of_cluster, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    place = np.random.default_rng(seed).permutation(sizes.size)  # of each cluster in the order
    if codes is not None:
        counts = np.bincount(codes)
        for rank, code in enumerate(np.argsort(counts, kind="stable")[::-1]):
            members = of_cluster[codes == code]
            if members.size:
                place[members[np.argmin(place[members])]] = -1 - rank
    order = np.argsort(place, kind="stable")
    taken = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), size, side="right")))]
    return np.flatnonzero(np.isin(of_cluster, taken))


def _quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Rows per class, summing to `size`: one each where they fit, the rest by largest remainder."""
    floor = np.minimum(counts, 1) if np.count_nonzero(counts) <= size else np.zeros_like(counts)
    spare = counts - floor
    share = (size - floor.sum()) * spare / spare.sum()
    quota = np.floor(share).astype(np.int64)
    missing = int(size - floor.sum() - quota.sum())
    quota[np.argsort(quota - share, kind="stable")[:missing]] += 1
    return np.asarray(floor + quota)
