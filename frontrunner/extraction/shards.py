"""From a dataset and a checkpoint to shards of features: read from the cache, computed where they are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from frontrunner.data import Dataset, FeatureInputs, Split
from frontrunner.data.dataset import Key, Task
from frontrunner.errors import ModalityMismatch
from frontrunner.extraction.cache import SHARD_SIZE, Extracted, FeatureCache, FeatureKey
from frontrunner.hub import CheckpointDescription, HubAccess, ReadingCost
from frontrunner.shard import Shard


class Reader(Protocol):
    """Reads the inputs with these keys, telling how many each batch held."""

    def read(self, keys: Sequence[Key], on_batch: Callable[[int], None]) -> Extracted:
        """See `FeatureReader.read`."""
        ...

    @property
    def cost(self) -> ReadingCost | None:
        """See `FeatureReader.cost`."""
        ...


class FeatureShards(Sequence[Shard]):
    """The shards of one checkpoint on one sample of a dataset's training split; iterable again and again.

    The checkpoint is opened at the first shard that the cache does not hold, and never if it holds them all. Its own
    predictions are kept beside the features whoever asks, since both come from one forward pass.

    Args:
        with_source_probabilities: yield them too: a thousand columns and more, which few scores look at. Shards of a
            checkpoint without a classifier have None all the same.
        access: how this machine reaches a hub and where it keeps files; as the environment says by default.
        on_fetch: hears (bytes done, bytes in all) while the checkpoint is fetched from a hub.

    Attributes:
        forward_examples: examples that went through the checkpoint so far.
    """

    def __init__(
        self,
        checkpoint: CheckpointDescription,
        dataset: Dataset,
        order: NDArray[np.int64],
        max_examples: int,
        cache_root: Path,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        *,
        with_source_probabilities: bool = False,
        access: HubAccess | None = None,
        on_fetch: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.forward_examples = 0
        ordered = dataset.train.take(order)
        self.cache = FeatureCache(cache_root, FeatureKey.of(checkpoint, dataset.digest, ordered.keys))
        self._checkpoint = checkpoint
        self._dataset = dataset
        self._sample = ordered.take(np.arange(min(max_examples, len(ordered))))
        self._targets = _scored_targets(self._sample, dataset.task)
        self._on_progress = on_progress
        self._access = access
        self._on_fetch = on_fetch
        self._with_source_probabilities = with_source_probabilities
        self._reader: Reader | None = None

    @property
    def examples(self) -> int:
        """Examples in the sample."""
        return len(self._sample)

    @property
    def cost(self) -> ReadingCost | None:
        """What reading took on this machine; None where the cache held all, or too little was read to tell."""
        return None if self._reader is None else self._reader.cost

    def __len__(self) -> int:
        return -(-self.examples // SHARD_SIZE)

    @overload
    def __getitem__(self, index: int) -> Shard: ...

    @overload
    def __getitem__(self, index: slice) -> list[Shard]: ...

    def __getitem__(self, index: int | slice) -> Shard | list[Shard]:
        """Shard `index`, computed and kept if need be."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = slice(index * SHARD_SIZE, min((index + 1) * SHARD_SIZE, self.examples))
        keys = self._sample.keys[rows]
        features, probabilities = self._cached(index, len(keys)) or self._compute(index, keys, start=rows.start)
        self._on_progress(rows.stop, self.examples)
        return Shard(
            features=features,
            labels=None if self._sample.labels is None else self._sample.labels[rows],
            targets=None if self._targets is None else self._targets[rows],
            source_probabilities=probabilities if self._with_source_probabilities else None,
        )

    def _cached(self, index: int, rows: int) -> Extracted | None:
        features = self.cache.read_features(index, rows)
        if features is None or not self._with_source_probabilities:
            return None if features is None else Extracted(features, None)
        probabilities = self.cache.read_source_probabilities(index, rows)
        if probabilities is None:
            return None
        return Extracted(features, probabilities if probabilities.shape[1] else None)

    def _compute(self, index: int, keys: Sequence[Key], start: int) -> Extracted:
        if self._reader is None:
            self._reader = _open_reader(self._checkpoint, self._dataset, self._access, self._on_fetch)
        done = start

        def on_batch(examples: int) -> None:
            nonlocal done
            done += examples
            self._on_progress(done, self.examples)

        extracted = self._reader.read(keys, on_batch)
        self.forward_examples += len(keys)
        self.cache.write_shard(index, extracted)
        return extracted


class _PrecomputedReader:
    """Rows of a feature set that the dataset itself brings."""

    cost: ReadingCost | None = None

    def __init__(self, matrix: NDArray[np.generic]) -> None:
        self._matrix = matrix

    def read(self, keys: Sequence[Key], on_batch: Callable[[int], None]) -> Extracted:
        """See `Reader`."""
        on_batch(len(keys))
        return Extracted(np.asarray(self._matrix[np.array(keys, dtype=np.int64)], dtype=np.float32), None)


def _open_reader(
    checkpoint: CheckpointDescription,
    dataset: Dataset,
    access: HubAccess | None,
    on_fetch: Callable[[int, int], None],
) -> Reader:
    if checkpoint.modality != dataset.modality:
        raise ModalityMismatch(f"{checkpoint.id} reads {checkpoint.modality}, the dataset holds {dataset.modality}")
    if isinstance(dataset.inputs, FeatureInputs):
        return _PrecomputedReader(dataset.inputs.sets[checkpoint.id.removeprefix("features:")])
    # Torch is loaded here and no earlier: a ranking that the cache answers never needs it.
    from frontrunner.extraction.reading import FeatureReader

    return FeatureReader.opening(checkpoint, dataset.inputs, access, on_fetch)


def _scored_targets(sample: Split, task: Task) -> NDArray[np.float64] | None:
    """Targets as they are scored: columns that do not vary dropped, and for regression mean 0 and variance 1."""
    if sample.targets is None:
        return None
    targets = sample.targets[:, np.ptp(sample.targets, axis=0) > 0]
    return np.asarray((targets - targets.mean(axis=0)) / targets.std(axis=0)) if task == "regression" else targets
