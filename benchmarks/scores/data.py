"""Features that look like a network's: rectified, correlated, with a decaying spectrum and class structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.shard import Shard

SHARD_SIZE = 256
SOURCE_CLASSES = 1000
_ROWS_AT_ONCE = 4096


def made_features(n: int, dimension: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, D) float32 and labels (n,), seeded; made block by block, so nothing larger was ever held."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % classes
    centres = generator.standard_normal((classes, dimension), dtype=np.float32) * np.float32(0.15)
    scale = np.exp(np.linspace(0, -3, dimension, dtype=np.float32))
    mixing = generator.standard_normal((64, dimension), dtype=np.float32)
    features = np.empty((n, dimension), dtype=np.float32)
    for start in range(0, n, _ROWS_AT_ONCE):
        block = features[start : start + _ROWS_AT_ONCE]
        generator.standard_normal(out=block, dtype=np.float32)
        block *= scale
        block += generator.standard_normal((block.shape[0], 64), dtype=np.float32) @ mixing * np.float32(0.1)
        block += centres[labels[start : start + block.shape[0]]]
        np.maximum(block, 0, out=block)
    return features, labels


def made_shards(n: int, dimension: int, classes: int) -> list[Shard]:
    """The same in shards, with source probabilities over a thousand classes."""
    features, labels = made_features(n, dimension, classes)
    logits = np.random.default_rng(1).gumbel(size=(n, SOURCE_CLASSES)) * 3
    logits[np.arange(n), labels] += 6
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    cuts = [slice(start, start + SHARD_SIZE) for start in range(0, n, SHARD_SIZE)]
    return [Shard(features[c], labels=labels[c], source_probabilities=probabilities[c]) for c in cuts]
