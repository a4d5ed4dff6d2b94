"""Where checkpoints come from: hubs, what they offer, how it is opened. All but `frontrunner.hub.opening` is light."""

from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.constraints import Constraints
from frontrunner.hub.describing.description import CheckpointDescription, ReadingCost, describe_directory
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.hub.describing.reading import ReadingBackend, ReadingProvenance, TextPooling
from frontrunner.hub.finding.catalogue import Catalogue, SkippedCheckpoint, catalogue_of
from frontrunner.hub.finding.curated import offer
from frontrunner.hub.finding.feature_sets import FeatureSets
from frontrunner.hub.finding.folders import Folders, HubFolders
from frontrunner.hub.finding.packages import Packages
from frontrunner.hub.finding.registry import hub_of, hubs_of
from frontrunner.hub.finding.selection import choose, find_catalogue, with_curated, with_named
from frontrunner.hub.protocol import Hub

__all__ = [
    "Catalogue",
    "CheckpointDescription",
    "Constraints",
    "FeatureSets",
    "Folders",
    "Hub",
    "HubAccess",
    "HubFolders",
    "ListedCheckpoint",
    "Packages",
    "ReadingBackend",
    "ReadingCost",
    "ReadingProvenance",
    "SkippedCheckpoint",
    "TextPooling",
    "catalogue_of",
    "choose",
    "describe_directory",
    "find_catalogue",
    "hub_of",
    "hubs_of",
    "offer",
    "with_curated",
    "with_named",
]
