"""The feature cache: shards of features on disk, the checkpoint's own predictions beside them, and scores.

A directory holds what one checkpoint says about one dataset. Its name is the digest of everything that decides the
numbers: checkpoint, dataset, how its images are decoded, preprocessing, order of examples, shard size and extractor
version. Files are written under a temporary name and renamed, so a file that exists is whole, and two writers of one
shard write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontrunner.data.dataset import Key
from frontrunner.data.images import DECODING_VERSION
from frontrunner.files import whole_file
from frontrunner.hub import CheckpointDescription

# Part of every key: raise it whenever the same checkpoint and input would give other features.
EXTRACTOR_VERSION = 3
# 256 rows of 2,048 float32 features are 2 MiB: small enough to lose little on a crash, large enough to stream.
SHARD_SIZE = 256


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
    """Everything that decides the features of a run of examples."""

    checkpoint_digest: str
    preprocessing_digest: str
    dataset_digest: str
    order_digest: str
    decoding_version: int

    @classmethod
    def of(cls, checkpoint: CheckpointDescription, dataset_digest: str, ordered_keys: Iterable[Key]) -> FeatureKey:
        """The key of `checkpoint` reading a dataset's training examples in this order.

        All of the order is named, not only the part that is read: a larger sample then extends the cached one.
        """
        order = hashlib.sha256()
        for key in ordered_keys:
            order.update(f"{key}\n".encode())
        decoding = DECODING_VERSION if checkpoint.modality == "image" else 0
        return cls(checkpoint.digest, checkpoint.preprocessing_digest, dataset_digest, order.hexdigest(), decoding)

    @property
    def digest(self) -> str:
        """SHA-256 of the key, hexadecimal."""
        parts = (*vars(self).values(), SHARD_SIZE, EXTRACTOR_VERSION)
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


class FeatureCache:
    """Shards and scores of one `FeatureKey` below a cache folder; safe for concurrent readers and writers."""

    def __init__(self, root: Path, key: FeatureKey) -> None:
        self.folder = root / "features" / key.digest[:2] / key.digest

    def read_features(self, index: int, rows: int) -> NDArray[np.float32] | None:
        """(rows, D) features of shard `index`, memory-mapped, or None where they are not there."""
        return _read_rows(self._shard(index, rows), rows)

    def read_source_probabilities(self, index: int, rows: int) -> NDArray[np.float32] | None:
        """(rows, C_source) predictions of shard `index`, memory-mapped, or None where they are not there.

        (rows, 0) where it is known that the checkpoint makes none.
        """
        return _read_rows(self._predictions(index, rows), rows)

    def write_shard(self, index: int, extracted: Extracted) -> None:
        """Keep shard `index`."""
        rows = len(extracted.features)
        predictions = extracted.source_probabilities
        kept = np.empty((rows, 0), dtype=np.float32) if predictions is None else predictions
        for path, matrix in ((self._predictions(index, rows), kept), (self._shard(index, rows), extracted.features)):
            with whole_file(path) as file:
                np.save(file, matrix, allow_pickle=False)

    def read_scores(self, name: str) -> dict[str, Any] | None:
        """What `write_scores` kept under `name`, or None."""
        try:
            stored = json.loads((self.folder / f"{name}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return stored if isinstance(stored, dict) else None

    def write_scores(self, name: str, values: dict[str, Any]) -> None:
        """Keep JSON values under `name`."""
        with whole_file(self.folder / f"{name}.json") as file:
            file.write(json.dumps(values).encode())

    def size_bytes(self) -> int:
        """Bytes of all files kept under this key."""
        return sum(path.stat().st_size for path in self.folder.glob("*") if path.is_file())

    def _shard(self, index: int, rows: int) -> Path:
        return self.folder / f"{index:05d}-{rows}.npy"

    def _predictions(self, index: int, rows: int) -> Path:
        return self.folder / f"{index:05d}-{rows}.predictions.npy"


def _read_rows(path: Path, rows: int) -> NDArray[np.float32] | None:
    try:
        stored: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return stored if stored.shape[0] == rows else None
