"""Rows of features that are known already: an input that a checkpoint has read once is not read again.

Shards are kept by dataset and order, and both change with the labels: a relabelled dataset has other bytes, and its
stratified order is another. What a checkpoint makes of an input depends on neither. Every shard therefore keeps digests
of its inputs, and before anything is computed the rows are looked for in the shards that the same reading gave of other
datasets, and of a smaller sample of this one. What is found is copied: shards stay runs of rows in the order in which
they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from frontrunner.data.dataset import ImageInputs, Key, TextInputs, WordInputs
from frontrunner.extraction.cache import Extracted, FeatureCache, ShardName

# 262,144 rows, those kept last: looking must stay cheap beside what it saves.
_MOST_SHARDS = 1024
# A remote store answers many questions at once.
_AT_ONCE = 8
_DIGEST_BYTES = 16


def input_digests(inputs: ImageInputs | TextInputs | WordInputs, keys: Sequence[Key]) -> NDArray[np.uint8]:
    """(n, 16) the first 128 bits of each input's SHA-256; neither a pair of texts nor a word is a text.

    Raises:
        UnreadableDataset: an input is not there.

    Example:
        >>> pair, text = TextInputs(("a",), ("b",)), TextInputs(("a\\nb",))
        >>> bool((input_digests(pair, [0]) == input_digests(text, [0])).all())
        False
    """
    paired = isinstance(inputs, TextInputs) and inputs.seconds is not None
    found = np.empty((len(keys), _DIGEST_BYTES), dtype=np.uint8)
    for row, key in enumerate(keys):
        digest = hashlib.sha256(inputs.read(key))
        if paired:
            digest.update(f"\npair {len(inputs.texts[int(key)])}".encode())  # type: ignore[union-attr]
        if isinstance(inputs, WordInputs):
            digest.update(b"\nword")
        found[row] = np.frombuffer(digest.digest()[:_DIGEST_BYTES], dtype=np.uint8)
    return found


class KnownRows:
    """The rows that one reading gave, found by their inputs. Where the rows are is looked up once.

    Args:
        cache: of the run of examples that lacks rows.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self._cache = cache
        found = sorted(cache.shards_of_this_reading(), key=lambda other: -other[1].modified_at)[:_MOST_SHARDS]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="known-rows") as pool:
            inputs = list(pool.map(self._inputs, (shard for shard, _ in found)))
        self._shards = [shard for shard, _ in found]
        digests = _comparable(np.concatenate([np.empty((0, _DIGEST_BYTES), dtype=np.uint8), *inputs]))
        order = np.argsort(digests, kind="stable")
        self._digests = digests[order]
        self._shard = np.repeat(np.arange(len(inputs)), [len(part) for part in inputs])[order]
        self._row = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(len(part)) for part in inputs)])[order]

    def find(self, inputs: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Extracted | None]:
        """Which of the inputs are known, and what is known of them.

        Args:
            inputs: (n, 16) `input_digests`.

        Returns:
            (k,) positions among the n, and the k rows; None for no row.
        """
        wanted = _comparable(inputs)
        place = np.searchsorted(self._digests, wanted)
        is_known = np.zeros(len(wanted), dtype=bool)
        within = place < len(self._digests)
        is_known[within] = self._digests[place[within]] == wanted[within]
        rows: list[tuple[NDArray[np.int64], Extracted]] = []
        for shard in np.unique(self._shard[place[is_known]]):
            positions = np.flatnonzero(is_known)[self._shard[place[is_known]] == shard]
            stored = self._stored(self._shards[shard])
            if stored is not None:
                chosen = self._row[place[positions]]
                probabilities = stored.source_probabilities
                rows.append(
                    (
                        positions,
                        Extracted(stored.features[chosen], None if probabilities is None else probabilities[chosen]),
                    )
                )
        if not rows:
            return np.empty(0, dtype=np.int64), None
        return np.concatenate([positions for positions, _ in rows]), joined([part for _, part in rows])

    def provenance(self, name: str) -> dict[str, object] | None:
        """What is kept under `name` beside one of the shards: of one reading it is the same."""
        for key in dict.fromkeys(shard.key for shard in self._shards):
            found = self._cache.of(key).read_scores(name)
            if found is not None:
                return found
        return None

    def _inputs(self, shard: ShardName) -> NDArray[np.uint8]:
        found = self._cache.of(shard.key).read_inputs(shard.index, shard.rows)
        return np.empty((0, _DIGEST_BYTES), dtype=np.uint8) if found is None else found

    def _stored(self, shard: ShardName) -> Extracted | None:
        cache = self._cache.of(shard.key)
        features = cache.read_features(shard.index, shard.rows)
        probabilities = cache.read_source_probabilities(shard.index, shard.rows)
        if features is None or probabilities is None:
            return None
        return Extracted(features, probabilities if probabilities.shape[1] else None)


def joined(parts: Sequence[Extracted]) -> Extracted:
    """The rows of all parts, of one checkpoint, below each other."""
    probabilities = [part.source_probabilities for part in parts if part.source_probabilities is not None]
    return Extracted(
        np.concatenate([part.features for part in parts]), np.concatenate(probabilities) if probabilities else None
    )


def _comparable(digests: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """(n,) the digests as values that sort."""
    return np.ascontiguousarray(digests).view(f"S{_DIGEST_BYTES}").reshape(-1)
