"""From a dataset and a checkpoint to shards of features: read from the cache, computed where they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from frontrunner.data import Dataset, FeatureInputs, Split
from frontrunner.data.dataset import Key, Task
from frontrunner.errors import ModalityMismatch
from frontrunner.extraction.cache import SHARD_SIZE, Extracted, FeatureCache, FeatureKey
from frontrunner.extraction.known_rows import KnownRows, input_digests, joined
from frontrunner.hub import CheckpointDescription, HubAccess, ReadingCost, ReadingProvenance
from frontrunner.hub.finding.feature_sets import set_name
from frontrunner.progress import SILENT, Part, Progress, Stage
from frontrunner.shard import Shard, fold
from frontrunner.statistics import FeatureStatistics
from frontrunner.store import Store

# The file beside the shards that says how they were read.
_PROVENANCE = "provenance"
# Part of the name of kept sums: raise it whenever those of the same shards would differ.
_SUMS_VERSION = 1
# The first row and the one behind the last.
Rows: TypeAlias = tuple[int, int]


def parts_of(examples: int, most: int) -> tuple[Rows, ...]:
    """A sample in parts of whole shards, each of at most `most` examples, or of one shard.

    Example:
        >>> parts_of(1000, 600)
        ((0, 512), (512, 1000))
    """
    size = max(most // SHARD_SIZE, 1) * SHARD_SIZE
    return tuple((start, min(start + size, examples)) for start in range(0, examples, size))


class Reader(Protocol):
    """Reads inputs by their keys, and tells of every batch."""

    def read(self, keys: Sequence[Key], progress: Progress) -> Extracted:
        """What the checkpoint makes of the inputs `keys`, in that order; `progress` hears of every batch."""
        ...

    @property
    def cost(self) -> ReadingCost | None:
        """What reading took so far; None where nothing was measured."""
        ...

    @property
    def provenance(self) -> ReadingProvenance:
        """What to know of the features besides the checkpoint's files."""
        ...


class FeatureShards(Sequence[Shard]):
    """The shards of one checkpoint on one sample of a dataset's training split; iterable again and again.

    The checkpoint is opened at the first input whose features neither this run holds nor another one of the same
    reading, and never if all are held: other labels on the same inputs cost no forward pass. Its own predictions are
    kept beside the features whoever asks, since both come from one forward pass.

    Args:
        checkpoint: what reads.
        dataset: what is read.
        order: (n,) indices into the training split, in the order in which it is read.
        max_examples: at most this many of them are.
        store: where features are kept.
        progress: hears of a download, of every batch and of shards from the cache. It may stop the work during the
            download and after every shard that was computed: by then the shard is kept.
        with_source_probabilities: yield them too: a thousand columns and more, which few scores look at. Shards of a
            checkpoint without a classifier have None all the same.
        access: how this machine reaches hubs and where it keeps files; as the environment says by default.

    Attributes:
        forward_examples: examples that went through the checkpoint so far.
    """

    def __init__(
        self,
        checkpoint: CheckpointDescription,
        dataset: Dataset,
        order: NDArray[np.int64],
        max_examples: int,
        store: Store,
        *,
        progress: Progress = SILENT,
        with_source_probabilities: bool = False,
        access: HubAccess | None = None,
    ) -> None:
        self.forward_examples = 0
        ordered = dataset.train.take(order)
        self.cache = FeatureCache(store, FeatureKey.of(checkpoint, dataset.digest, ordered.keys, dataset.owner))
        self._checkpoint = checkpoint
        self._dataset = dataset
        self._sample = ordered.take(np.arange(min(max_examples, len(ordered))))
        self._targets = _scored_targets(self._sample, dataset.task)
        self._progress = progress
        self._access = access
        self._with_source_probabilities = with_source_probabilities
        self._reader: Reader | None = None
        self._known: KnownRows | None = None

    @property
    def examples(self) -> int:
        """Examples in the sample."""
        return len(self._sample)

    @property
    def cost(self) -> ReadingCost | None:
        """What reading took on this machine; None where the cache held all, or too little was read to tell."""
        return None if self._reader is None else self._reader.cost

    @property
    def provenance(self) -> ReadingProvenance:
        """What to know of the features besides the checkpoint's files, kept with them; empty while none are read."""
        return ReadingProvenance.model_validate(self.cache.read_scores(_PROVENANCE) or {})

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
        cached = self._cached(index, len(keys))
        if cached is not None:
            self._progress.advance(Stage.READ, rows.stop, self.examples, of=self._checkpoint.id)
        features, probabilities = cached or self._compute(index, keys, start=rows.start)
        return Shard(
            features=features,
            labels=None if self._sample.labels is None else self._sample.labels[rows],
            targets=None if self._targets is None else self._targets[rows],
            source_probabilities=probabilities if self._with_source_probabilities else None,
            clusters=None if self._sample.clusters is None else self._sample.clusters[rows],
        )

    def sums(self, rows: Rows) -> FeatureStatistics:
        """The sums of these rows, of whole shards; kept, so that the parts of several workers can be added."""
        kind = "predictions" if self._with_source_probabilities else "features"
        name = f"{kind}.{_SUMS_VERSION}-{rows[0]}-{rows[1]}-{self.examples}"
        found = self.cache.read_sums(name)
        if found is None:
            found = fold(self[index] for index in range(rows[0] // SHARD_SIZE, -(-rows[1] // SHARD_SIZE)))
            self.cache.write_sums(name, found)
        return found

    def _cached(self, index: int, rows: int) -> Extracted | None:
        features = self.cache.read_features(index, rows)
        if features is None or not self._with_source_probabilities:
            return None if features is None else Extracted(features, None)
        probabilities = self.cache.read_source_probabilities(index, rows)
        if probabilities is None:
            return None
        return Extracted(features, probabilities if probabilities.shape[1] else None)

    def _compute(self, index: int, keys: Sequence[Key], start: int) -> Extracted:
        inputs = self._dataset.inputs
        if isinstance(inputs, FeatureInputs):  # whose rows are at hand
            digests, extracted = None, self._read(keys, start)
        else:
            digests = input_digests(inputs, keys)
            extracted = self._completed(keys, digests, start)
        self.cache.write_shard(index, extracted, digests)
        self._progress.safe_point()
        return extracted

    def _completed(self, keys: Sequence[Key], digests: NDArray[np.uint8], start: int) -> Extracted:
        """Rows that are known under another key, and the others through the checkpoint."""
        if self._known is None:
            self._known = KnownRows(self.cache)
        positions, known = self._known.find(digests)
        if known is None:
            return self._read(keys, start)
        self._progress.advance(Stage.READ, start + len(positions), self.examples, of=self._checkpoint.id)
        provenance = self._known.provenance(_PROVENANCE)
        if provenance is not None:
            self.cache.write_scores(_PROVENANCE, provenance)
        missing = np.setdiff1d(np.arange(len(keys)), positions)
        parts = [known]
        if len(missing):
            parts.append(self._read([keys[row] for row in missing], start + len(positions)))
        back = np.argsort(np.concatenate([positions, missing]))
        features, probabilities = joined(parts)
        return Extracted(features[back], None if probabilities is None else probabilities[back])

    def _read(self, keys: Sequence[Key], start: int) -> Extracted:
        """Through the checkpoint; `start` examples are over."""
        if self._reader is None:
            left = self.examples - start
            self._reader = _open_reader(self._checkpoint, self._dataset, self._access, self._progress, left)
        extracted = self._reader.read(keys, Part(self._progress, Stage.READ, before=start, total=self.examples))
        self.forward_examples += len(keys)
        self.cache.write_scores(_PROVENANCE, self._reader.provenance.model_dump())
        return extracted


class _PrecomputedReader:
    """Rows of a feature set that the dataset itself brings."""

    cost: ReadingCost | None = None
    provenance = ReadingProvenance()

    def __init__(self, checkpoint_id: str, matrix: NDArray[np.generic]) -> None:
        self._checkpoint_id = checkpoint_id
        self._matrix = matrix

    def read(self, keys: Sequence[Key], progress: Progress) -> Extracted:
        """The rows `keys`."""
        progress.advance(Stage.READ, len(keys), len(keys), of=self._checkpoint_id)
        return Extracted(np.asarray(self._matrix[np.array(keys, dtype=np.int64)], dtype=np.float32), None)


def _open_reader(
    checkpoint: CheckpointDescription,
    dataset: Dataset,
    access: HubAccess | None,
    progress: Progress,
    examples: int,
) -> Reader:
    if checkpoint.modality != dataset.modality:
        raise ModalityMismatch(f"{checkpoint.id} reads {checkpoint.modality}, the dataset holds {dataset.modality}")
    if isinstance(dataset.inputs, FeatureInputs):
        return _PrecomputedReader(checkpoint.id, dataset.inputs.sets[set_name(checkpoint.id)])
    # Torch is loaded here and no earlier: a ranking that the cache answers never needs it.
    from frontrunner.extraction.pixels import stored
    from frontrunner.extraction.reading import FeatureReader

    return FeatureReader.opening(checkpoint, stored(dataset, access), access, progress, examples)


def _scored_targets(sample: Split, task: Task) -> NDArray[np.float64] | None:
    """Targets as they are scored: columns that do not vary dropped, and for regression mean 0 and variance 1."""
    if sample.targets is None:
        return None
    targets = sample.targets[:, np.ptp(sample.targets, axis=0) > 0]
    return np.asarray((targets - targets.mean(axis=0)) / targets.std(axis=0)) if task == "regression" else targets
