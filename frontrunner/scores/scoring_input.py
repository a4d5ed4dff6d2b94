"""`ScoringInput`: what the scores of one checkpoint on one dataset are computed from.

It holds the sums (`FeatureStatistics`) and the shards, from which rows are read where a score needs them. What several
scores share, such as a sample of rows or the spectrum of LogME's evidence, is computed on first use and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from frontrunner.errors import IncompatibleStatistics, InvalidFeatures, NothingToSeparate, ScoreNotApplicable
from frontrunner.inputs import as_probabilities, as_target_matrix, encode_labels
from frontrunner.scores.sampling import GROUPS, Draw, cluster_sample, random_groups, stratified_sample
from frontrunner.shard import Shard
from frontrunner.statistics import FeatureStatistics, Floats

_Shared = TypeVar("_Shared")

# Rows from which the influence of single rows on a score of all rows is estimated. They give the standard error to
# about 1 / sqrt(2 * 1024) = 2%, less than the 13% that 32 groups leave, at a cost that does not grow with n.
INTERVAL_ROWS = 1024


@dataclass(frozen=True)
class Rows:
    """Some of the rows of a `ScoringInput`.

    Attributes:
        index: (m,) their places in the dataset, ascending.
        features: (m, D) float64.
        codes: (m,) class of each, 0 .. C - 1 over the classes that occur; None for real targets.
        outputs: (m, C) one-hot labels or real targets, float64.
        clusters: (m,) the cluster that each was drawn with; None where each was drawn alone.
    """

    index: NDArray[np.int64]
    features: Floats
    codes: NDArray[np.int64] | None
    outputs: Floats
    clusters: NDArray[np.int64] | None = None


class ScoringInput:
    """Sums and rows of one checkpoint's features of one dataset.

    Args:
        statistics: sums over all examples.
        shards: the same examples, in order; without any, only scores of sums can be computed.
        draw: what intervals are over: `examples` drawn anew, class counts with them, or `within_classes`, counts held.

    Raises:
        NothingToSeparate: no example, no target, a single class, or targets that are all constant.
        IncompatibleStatistics: the shards do not hold the examples that the sums are over.
    """

    def __init__(self, statistics: FeatureStatistics, shards: Sequence[Shard], draw: Draw = "examples") -> None:
        self.statistics = statistics
        self.shards = shards
        self.draw = draw
        self.columns = occurring_columns(statistics)
        self._rows: dict[int, Rows] = {}
        self._shared: dict[Callable[[ScoringInput], Any], Any] = {}

    def once(self, make: Callable[[ScoringInput], _Shared]) -> _Shared:
        """`make(self)`, computed on the first call and kept for later ones."""
        if make not in self._shared:
            self._shared[make] = make(self)
        found: _Shared = self._shared[make]
        return found

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.statistics.n

    @property
    def dimension(self) -> int:
        """Number of features."""
        return self.statistics.dimension

    @property
    def class_count(self) -> int:
        """Classes that occur, or real target columns."""
        return int(self.columns.sum())

    @property
    def is_classification(self) -> bool:
        """Whether the targets are classes rather than real numbers."""
        return self.statistics.classes is not None

    @cached_property
    def has_rows(self) -> bool:
        """Whether rows can be read."""
        return len(self.shards) > 0

    @cached_property
    def codes(self) -> NDArray[np.int64] | None:
        """(n,) the class of every example among the classes that occur; None for real targets."""
        self._require_rows()
        return self._codes_and_clusters[0]

    @cached_property
    def clusters(self) -> NDArray[np.int64] | None:
        """(n,) the cluster that each example was drawn with; None where each was drawn alone.

        Raises:
            IncompatibleStatistics: some shards say so and others do not.
        """
        return self._codes_and_clusters[1]

    @cached_property
    def _codes_and_clusters(self) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """Both of one pass: each shard that is asked for is read and compared with its digest."""
        place = None
        if self.statistics.classes is not None:
            kept = [label for label, occurs in zip(self.statistics.classes, self.columns, strict=True) if occurs]
            place = {label: code for code, label in enumerate(kept)}
        codes, clusters = [], []
        for shard in self.shards:
            if place is not None:
                codes.append(_codes_of(shard.labels, place))
            if shard.clusters is not None:
                clusters.append(shard.clusters)
        return self._joined(codes), self._joined(clusters)

    def _joined(self, parts: list[NDArray[np.int64]]) -> NDArray[np.int64] | None:
        if not parts:
            return None
        joined = np.concatenate(parts)
        self._require_all(joined.size)
        return joined

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(n,) the group that each example is left out with, and its whole cluster with it."""
        return random_groups(self.n, clusters=self.clusters)

    @cached_property
    def group_count(self) -> int:
        """Number of groups."""
        return min(GROUPS, self.n if self.clusters is None else np.unique(self.clusters).size)

    def rows(self, largest: int) -> Rows:
        """All rows, or a stratified, seeded sample of `largest` of them. Calls for the same number share one copy.

        Of rows in clusters the sample is of whole clusters, and so of somewhat fewer rows.

        Raises:
            ScoreNotApplicable: no rows are at hand.
        """
        self._require_rows()
        size = min(largest, self.n)
        if size not in self._rows:
            self._rows[size] = self._read(
                stratified_sample(self.codes, self.n, size)
                if self.clusters is None
                else cluster_sample(self.clusters, self.codes, size)
            )
        return self._rows[size]

    def fitted_rows(self, largest: int) -> Rows:
        """The rows whose fit by LogME's model is looked at: all where n <= D, since they span its space, else a sample.

        Raises:
            ScoreNotApplicable: no rows are at hand.
        """
        return self.rows(self.n if self.n <= self.dimension else largest)

    def feature_blocks(self) -> Iterator[NDArray[np.floating]]:
        """The features shard by shard, (b, D), in the type they are stored in.

        Raises:
            ScoreNotApplicable: no rows are at hand.
        """
        self._require_rows()
        for shard in self.shards:
            yield np.asarray(shard.features)

    def probability_blocks(self) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
        """The checkpoint's own probabilities (b, C_source) and the classes (b,), shard by shard.

        Raises:
            ScoreNotApplicable: the checkpoint has none, or the targets are real.
        """
        self._require_rows()
        if any(shard.source_probabilities is None for shard in self.shards):
            raise ScoreNotApplicable("the checkpoint predicts no source classes (source_probabilities are missing)")
        codes = self.codes
        if codes is None:
            raise ScoreNotApplicable("source probabilities are compared with classes, and the targets are real")
        start = 0
        for shard in self.shards:
            size = shard.features.shape[0]
            yield as_probabilities(np.asarray(shard.source_probabilities), size), codes[start : start + size]
            start += size

    def _read(self, index: NDArray[np.int64]) -> Rows:
        features = np.empty((index.size, self.dimension))
        targets = np.empty((index.size, self.class_count))
        start = filled = 0
        for shard in self.shards:
            size = shard.features.shape[0]
            local = index[filled : np.searchsorted(index, start + size)] - start
            into = slice(filled, filled + local.size)
            features[into] = shard.features[local]
            if not self.is_classification and local.size:
                targets[into] = as_target_matrix(np.asarray(shard.targets))[local]
            start, filled = start + size, filled + local.size
        self._require_all(start)
        codes = None if self.codes is None else self.codes[index]
        outputs = targets if codes is None else np.eye(self.class_count)[codes]
        return Rows(index, features, codes, outputs, None if self.clusters is None else self.clusters[index])

    def _require_rows(self) -> None:
        if not self.has_rows:
            raise ScoreNotApplicable("only sums over the examples are at hand, and this score reads rows")

    def _require_all(self, rows: int) -> None:
        if rows != self.n:
            raise IncompatibleStatistics(f"the shards hold {rows} examples and the statistics {self.n}")


def _codes_of(labels: NDArray[Any] | None, place: Mapping[str | int, int]) -> NDArray[np.int64]:
    """(b,) the place of each label among the classes that occur."""
    if labels is None:
        raise IncompatibleStatistics("the statistics are of classes, and a shard holds no labels")
    known, local = encode_labels(labels)
    if not place.keys() >= set(known):
        raise IncompatibleStatistics("a shard holds labels that the statistics have never seen")
    return np.array([place[label] for label in known], dtype=np.int64)[local]


def occurring_columns(statistics: FeatureStatistics) -> NDArray[np.bool_]:
    """(C,) which target columns are scored: those of classes that occur, and all real targets.

    Raises:
        NothingToSeparate: no example, no target, or a single class.
    """
    if statistics.n == 0 or statistics.cross.shape[1] == 0:
        raise NothingToSeparate("no labelled example was folded in")
    if statistics.classes is None:
        return np.ones(statistics.cross.shape[1], dtype=bool)
    # Counts are whole numbers, also after a subtraction.
    occurring = statistics.target_sum > 0.5
    if occurring.sum() < 2:
        raise NothingToSeparate(f"{statistics.n} examples are all of one class; two are needed")
    return np.asarray(occurring)


def require_varying_targets(statistics: FeatureStatistics) -> None:
    """Refuse real targets of which one column is the same for every example: R^2 is not defined there.

    Raises:
        InvalidFeatures: a constant column.
    """
    spread = statistics.target_square_sum - statistics.target_sum**2 / statistics.n
    if (spread <= 1e-12 * statistics.target_square_sum).any():
        raise InvalidFeatures("a target column is the same for every example; there is nothing to predict")
