"""Where checkpoints come from. Describing is light; `frontrunner.hub.opening.open` imports torch."""

from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.constraints import Constraints
from frontrunner.hub.describing.description import CheckpointDescription, ReadingCost, TextPooling, describe_directory
from frontrunner.hub.finding.catalogue import Catalogue, SkippedCheckpoint, feature_sets, find_checkpoints
from frontrunner.hub.finding.selection import choose, with_remote

__all__ = [
    "Catalogue",
    "CheckpointDescription",
    "Constraints",
    "HubAccess",
    "ReadingCost",
    "SkippedCheckpoint",
    "TextPooling",
    "choose",
    "describe_directory",
    "feature_sets",
    "find_checkpoints",
    "with_remote",
]
