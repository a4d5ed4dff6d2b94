"""Features that a dataset brings itself, each set as one checkpoint: `features:NAME`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from frontrunner.data import DatasetReport
from frontrunner.errors import CheckpointNotFound, ModalityMismatch
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.progress import SILENT, Progress


class FeatureSets:
    """The feature sets of one dataset, from its report alone; a `Hub` with nothing to fetch.

    Args:
        report: of the dataset; without one no set is listed.
    """

    name = "features"
    at_hand = True

    def __init__(self, report: DatasetReport | None = None) -> None:
        self._digest = "" if report is None else report.digest
        self._sets = {} if report is None else {f"features:{found.name}": found for found in report.feature_sets}

    def owns(self, checkpoint_id: str) -> bool:
        """Whether the id begins with `features:`."""
        return checkpoint_id.startswith("features:")

    def list(self, pattern: str = "*", limit: int = 500) -> Iterator[ListedCheckpoint]:
        """Every set of the dataset."""
        for checkpoint_id in self._sets:
            yield ListedCheckpoint(id=checkpoint_id, library="features", modality="features")

    def describe(self, checkpoint_id: str) -> CheckpointDescription:
        """A checkpoint without weights, whose digest names the dataset and the set.

        Raises:
            CheckpointNotFound: the dataset has no such set.
        """
        found = self._sets.get(checkpoint_id)
        if found is None:
            raise CheckpointNotFound(f"the dataset has no feature set '{set_name(checkpoint_id)}'")
        return CheckpointDescription(
            id=checkpoint_id,
            library="features",
            modality="features",
            architecture=f"precomputed, {found.dimension} features",
            digest=hashlib.sha256(f"{self._digest}\n{found.name}".encode()).hexdigest(),
            preprocessing_digest="none",
            parameters=0,
            bytes=found.bytes,
            path="",
        )

    def fetch(self, description: CheckpointDescription, progress: Progress = SILENT) -> Path:
        """Nothing.

        Raises:
            ModalityMismatch: always.
        """
        raise ModalityMismatch(f"{description.id} is precomputed: there is nothing to open")


def set_name(checkpoint_id: str) -> str:
    """The feature set that `features:NAME` names."""
    return checkpoint_id.removeprefix("features:")
