"""Where checkpoints come from. Describing is light; `frontrunner.hub.opening` imports torch."""

from frontrunner.hub.catalogue import Catalogue, SkippedCheckpoint, feature_sets, find_checkpoints
from frontrunner.hub.description import CheckpointDescription, describe_directory

__all__ = [
    "Catalogue",
    "CheckpointDescription",
    "SkippedCheckpoint",
    "describe_directory",
    "feature_sets",
    "find_checkpoints",
]
