"""From inputs to features: forward passes, shards and their cache. `frontrunner.extraction.reading` imports torch."""

from frontrunner.extraction.cache import EXTRACTOR_VERSION, FEATURES, SHARD_SIZE, FeatureCache, FeatureKey
from frontrunner.extraction.shards import FeatureShards, Rows, parts_of

__all__ = [
    "EXTRACTOR_VERSION",
    "FEATURES",
    "SHARD_SIZE",
    "FeatureCache",
    "FeatureKey",
    "FeatureShards",
    "Rows",
    "parts_of",
]
