"""`Shard`: a fixed-size run of examples whose features have been read; what extraction yields and scores consume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontrunner.statistics import FeatureStatistics


@dataclass(frozen=True)
class Shard:
    """Features of b examples beside what they should predict; labels or targets, never both.

    Attributes:
        features: (b, D) penultimate features, float32.
        labels: (b,) integer class codes or strings, or None.
        targets: (b, K) real targets, or None.
        source_probabilities: (b, C_source) the checkpoint's own predicted distribution, or None.
        clusters: (b,) number of the cluster that each example was drawn with, or None where each was drawn alone.
    """

    features: NDArray[Any]
    labels: NDArray[Any] | None = None
    targets: NDArray[Any] | None = None
    source_probabilities: NDArray[Any] | None = None
    clusters: NDArray[np.int64] | None = None

    def statistics(self) -> FeatureStatistics:
        """The shard's own sums."""
        return FeatureStatistics().update(self.features, self.labels, self.targets, self.source_probabilities)


def fold(shards: Iterable[Shard]) -> FeatureStatistics:
    """The sums of all shards, in constant memory."""
    statistics = FeatureStatistics()
    for shard in shards:
        statistics.update(shard.features, shard.labels, shard.targets, shard.source_probabilities)
    return statistics
