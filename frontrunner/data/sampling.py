"""The seeded order in which examples are read: every prefix is a stratified sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.data.dataset import Split


def stratified_order(split: Split, seed: int) -> NDArray[np.int64]:
    """(n,) a permutation of the split whose every prefix holds the classes in their proportions, rare ones first.

    Taking more examples later extends the sample instead of drawing another, so what was computed stays useful. The
    j-th of a class's n_c shuffled examples stands at j / n_c, so any prefix takes ceil(x n_c) of each class; ties are
    broken by chance. Splits without labels are shuffled, and so are clusters, whose examples follow each other.
    """
    generator = np.random.default_rng(seed)
    n = len(split)
    if split.clusters is not None:
        number, clusters = np.unique(split.clusters, return_inverse=True)
        return np.asarray(np.argsort(generator.permutation(number.size)[clusters], kind="stable"))
    shuffled = generator.permutation(n)
    if split.labels is None:
        return shuffled
    position = np.empty(n)
    labels = split.labels[shuffled]
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        position[members] = np.arange(members.size) / members.size
    return np.asarray(shuffled[np.lexsort((generator.random(n), position))])
