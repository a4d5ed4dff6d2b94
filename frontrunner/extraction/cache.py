"""The feature cache: shards of features in the store, the checkpoint's own predictions beside them, and scores.

What one checkpoint says about one dataset has a prefix of its own, in two parts: the first names the reading, which is
everything that decides the features of an input (checkpoint, preprocessing, decoding, extractor), the second the
examples and their order. Every file carries a checksum; one that does not fit is treated as absent, and computed again.
Two writers of one shard write the same bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontrunner.data.dataset import Key
from frontrunner.data.images import DECODING_VERSION
from frontrunner.hub import CheckpointDescription
from frontrunner.statistics import FeatureStatistics
from frontrunner.store import Store, StoredObject, read_array, read_json, write_array, write_json

# Part of every key: raise it whenever the same checkpoint and input would give other features.
EXTRACTOR_VERSION = 3
# 256 rows of 2,048 float32 features are 2 MiB: small enough to lose little on a crash, large enough to stream.
SHARD_SIZE = 256
FEATURES = "cache/features"
_INPUTS = ".inputs.npy"
# Hexadecimal digits of each half of a key.
_HALF = 32


class Extracted(NamedTuple):
    """What a checkpoint says of n inputs.

    Attributes:
        features: (n, D) penultimate features.
        source_probabilities: (n, C_source) its own predicted distribution, or None where it has no classifier.
    """

    features: NDArray[np.float32]
    source_probabilities: NDArray[np.float32] | None


@dataclass(frozen=True)
class FeatureKey:
    """Everything that decides the features of a run of examples.

    Attributes:
        reading: 128 bits, hexadecimal: decides the features of any one input.
        examples: 128 bits, hexadecimal: which inputs are read, in which order.
    """

    reading: str
    examples: str

    @classmethod
    def of(
        cls, checkpoint: CheckpointDescription, dataset_digest: str, ordered_keys: Iterable[Key], owner: str = ""
    ) -> FeatureKey:
        """The key of `checkpoint` reading a dataset's training examples in this order.

        Rows of one reading serve every dataset of one owner, and no other's: what is fast would tell what others have.
        All of the order is named, not only the part that is read: a larger sample then extends the cached one.
        """
        decoding = DECODING_VERSION if checkpoint.modality == "image" else 0
        reading = _digest(
            (
                checkpoint.digest,
                checkpoint.preprocessing_digest,
                checkpoint.modality,
                decoding,
                EXTRACTOR_VERSION,
                *filter(None, (owner,)),
            )
        )
        return cls(reading, _digest((dataset_digest, SHARD_SIZE, *ordered_keys)))

    @classmethod
    def readings(cls, checkpoint: CheckpointDescription, owner: str = "") -> frozenset[str]:
        """What `reading` may be of this checkpoint: of what it reads, and of texts where it reads those too."""
        return frozenset(cls.of(reading, "", (), owner).reading for reading in (checkpoint, checkpoint.reading("text")))

    @classmethod
    def parse(cls, digest: str) -> FeatureKey:
        """The key with this `digest`."""
        return cls(digest[:_HALF], digest[_HALF:])

    @property
    def digest(self) -> str:
        """256 bits, hexadecimal."""
        return self.reading + self.examples

    @property
    def prefix(self) -> str:
        """What the store's names of everything that is kept under this key begin with."""
        return f"{FEATURES}/{self.reading}/{self.examples}"


def _digest(parts: Iterable[object]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(f"{part}\n".encode())
    return total.hexdigest()[:_HALF]


@dataclass(frozen=True)
class ShardName:
    """One shard among all that the store keeps of a reading."""

    key: FeatureKey
    index: int
    rows: int


class FeatureCache:
    """Shards and scores of one `FeatureKey` in a store; safe for concurrent readers and writers."""

    def __init__(self, store: Store, key: FeatureKey) -> None:
        self.key = key
        self._store = store

    def read_features(self, index: int, rows: int) -> NDArray[np.float32] | None:
        """(rows, D) features of shard `index`, memory-mapped, or None where they are not there."""
        return self._read_rows(index, rows, ".npy")

    def read_source_probabilities(self, index: int, rows: int) -> NDArray[np.float32] | None:
        """(rows, C_source) predictions of shard `index`, memory-mapped, or None where they are not there.

        (rows, 0) where it is known that the checkpoint makes none.
        """
        return self._read_rows(index, rows, ".predictions.npy")

    def read_inputs(self, index: int, rows: int) -> NDArray[np.uint8] | None:
        """(rows, 16) digests of the inputs that shard `index` was read from, or None where they are not there."""
        return self._read_rows(index, rows, _INPUTS)

    def write_shard(self, index: int, extracted: Extracted, inputs: NDArray[np.uint8] | None = None) -> None:
        """Keep shard `index`, and what `read_inputs` tells of it; features last, since they vouch for the rest."""
        rows = len(extracted.features)
        predictions = extracted.source_probabilities
        kept = np.empty((rows, 0), dtype=np.float32) if predictions is None else predictions
        write_array(self._store, self._name(index, rows, ".predictions.npy"), kept)
        if inputs is not None:
            write_array(self._store, self._name(index, rows, _INPUTS), inputs)
        write_array(self._store, self._name(index, rows, ".npy"), extracted.features)

    def read_scores(self, name: str) -> dict[str, Any] | None:
        """What `write_scores` kept under `name`, or None."""
        return read_json(self._store, f"{self.key.prefix}/{name}.json")

    def write_scores(self, name: str, values: dict[str, Any]) -> None:
        """Keep JSON values under `name`."""
        write_json(self._store, f"{self.key.prefix}/{name}.json", values)

    def read_sums(self, name: str) -> FeatureStatistics | None:
        """What `write_sums` kept under `name`, or None."""
        stored = read_array(self._store, f"{self.key.prefix}/{name}.sums")
        return None if stored is None else FeatureStatistics.load(io.BytesIO(stored.tobytes()))

    def write_sums(self, name: str, sums: FeatureStatistics) -> None:
        """Keep sums under `name`."""
        file = io.BytesIO()
        sums.write(file)
        write_array(self._store, f"{self.key.prefix}/{name}.sums", np.frombuffer(file.getvalue(), dtype=np.uint8))

    def size_bytes(self) -> int:
        """Bytes of all that is kept under this key."""
        return sum(found.bytes for found in self._store.list(self.key.prefix))

    def shards_of_this_reading(self) -> Iterator[tuple[ShardName, StoredObject]]:
        """Shards whose inputs are known that the same reading gave: of smaller samples, other orders and datasets."""
        for found in self._store.list(f"{FEATURES}/{self.key.reading}"):
            *_, examples, file = found.name.split("/")
            if file.endswith(_INPUTS):
                index, _, rows = file.removesuffix(_INPUTS).partition("-")
                yield ShardName(FeatureKey(self.key.reading, examples), int(index), int(rows)), found

    def of(self, key: FeatureKey) -> FeatureCache:
        """The same store's features under another key."""
        return FeatureCache(self._store, key)

    def _name(self, index: int, rows: int, ending: str) -> str:
        return f"{self.key.prefix}/{index:05d}-{rows}{ending}"

    def _read_rows(self, index: int, rows: int, ending: str) -> NDArray[Any] | None:
        stored = read_array(self._store, self._name(index, rows, ending))
        return stored if stored is not None and stored.shape[0] == rows else None
