"""Where checkpoints come from. Describing is light; `frontrunner.hub.opening` imports torch."""

from frontrunner.hub.access import HubAccess
from frontrunner.hub.catalogue import Catalogue, SkippedCheckpoint, feature_sets, find_checkpoints
from frontrunner.hub.constraints import Constraints
from frontrunner.hub.description import CheckpointDescription, ReadingCost, TextReading, describe_directory
from frontrunner.hub.selection import choose, with_remote

__all__ = [
    "Catalogue",
    "CheckpointDescription",
    "Constraints",
    "HubAccess",
    "ReadingCost",
    "SkippedCheckpoint",
    "TextReading",
    "choose",
    "describe_directory",
    "feature_sets",
    "find_checkpoints",
    "with_remote",
]
