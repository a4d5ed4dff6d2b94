"""From a dataset and a checkpoint to shards of features: read from the cache, computed where they are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from frontrunner.data import Dataset, FeatureInputs, ImageInputs, Split
from frontrunner.data.dataset import Key, Task
from frontrunner.errors import ModalityMismatch
from frontrunner.extraction.cache import SHARD_SIZE, FeatureCache, FeatureKey
from frontrunner.hub import CheckpointDescription
from frontrunner.shard import Shard


class Reader(Protocol):
    """Reads (n, D) features of the inputs with these keys, telling how many each batch held."""

    def read(self, keys: Sequence[Key], on_batch: Callable[[int], None]) -> NDArray[np.float32]:
        """See `FeatureReader.read`."""
        ...


class FeatureShards(Sequence[Shard]):
    """The shards of one checkpoint on one sample of a dataset's training split; iterable again and again.

    The checkpoint is opened at the first shard that the cache does not hold, and never if it holds them all.

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
    ) -> None:
        self.forward_examples = 0
        ordered = dataset.train.take(order)
        self.cache = FeatureCache(cache_root, FeatureKey.of(checkpoint, dataset.digest, ordered.keys))
        self._checkpoint = checkpoint
        self._dataset = dataset
        self._sample = ordered.take(np.arange(min(max_examples, len(ordered))))
        self._targets = _scored_targets(self._sample, dataset.task)
        self._on_progress = on_progress
        self._reader: Reader | None = None

    @property
    def examples(self) -> int:
        """Examples in the sample."""
        return len(self._sample)

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
        features = self.cache.read_shard(index, len(keys))
        if features is None:
            features = self._compute(index, keys, start=rows.start)
        self._on_progress(rows.stop, self.examples)
        return Shard(
            features=features,
            labels=None if self._sample.labels is None else self._sample.labels[rows],
            targets=None if self._targets is None else self._targets[rows],
        )

    def _compute(self, index: int, keys: Sequence[Key], start: int) -> NDArray[np.float32]:
        if self._reader is None:
            self._reader = _open_reader(self._checkpoint, self._dataset)
        done = start

        def on_batch(examples: int) -> None:
            nonlocal done
            done += examples
            self._on_progress(done, self.examples)

        features = self._reader.read(keys, on_batch)
        self.forward_examples += len(keys)
        self.cache.write_shard(index, features)
        return features


class _PrecomputedReader:
    """Rows of a feature set that the dataset itself brings."""

    def __init__(self, matrix: NDArray[np.generic]) -> None:
        self._matrix = matrix

    def read(self, keys: Sequence[Key], on_batch: Callable[[int], None]) -> NDArray[np.float32]:
        """See `Reader`."""
        on_batch(len(keys))
        return np.asarray(self._matrix[np.array(keys, dtype=np.int64)], dtype=np.float32)


def _open_reader(checkpoint: CheckpointDescription, dataset: Dataset) -> Reader:
    if checkpoint.modality != dataset.modality:
        raise ModalityMismatch(f"{checkpoint.id} reads {checkpoint.modality}, the dataset holds {dataset.modality}")
    if isinstance(dataset.inputs, FeatureInputs):
        return _PrecomputedReader(dataset.inputs.sets[checkpoint.id.removeprefix("features:")])
    if isinstance(dataset.inputs, ImageInputs):
        # Torch is loaded here and no earlier: a ranking that the cache answers never needs it.
        from frontrunner.extraction.reading import FeatureReader
        from frontrunner.hub.opening import open_checkpoint

        return FeatureReader(open_checkpoint(checkpoint), dataset.inputs)
    raise ModalityMismatch("text datasets cannot be read yet: no text checkpoint opens")


def _scored_targets(sample: Split, task: Task) -> NDArray[np.float64] | None:
    """Targets as they are scored: columns that do not vary dropped, and for regression mean 0 and variance 1."""
    if sample.targets is None:
        return None
    targets = sample.targets[:, np.ptp(sample.targets, axis=0) > 0]
    return np.asarray((targets - targets.mean(axis=0)) / targets.std(axis=0)) if task == "regression" else targets
