"""Source statistics: what a checkpoint's features look like on the data that it was trained on.

With them the discrepancy measures from where pretraining really left a head; without, from the no-knowledge prior.
They are kept by the checkpoint's digest, so that other weights under the same name never find them.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data.files import digest_file
from frontrunner.files import whole_file
from frontrunner.statistics import FeatureStatistics


class SourceReference(BaseModel):
    """Where source statistics lie; the digest makes them part of what a result rests on."""

    model_config = ConfigDict(frozen=True)

    path: Path
    digest: str
    dataset: str = Field(description="Name of the source dataset.")

    def load(self) -> FeatureStatistics:
        """The statistics."""
        return FeatureStatistics.load(self.path)


class SourceStore:
    """A folder of source statistics, one pair of files for each checkpoint.

    Args:
        root: the folder; made when something is first kept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, checkpoint_digest: str) -> SourceReference | None:
        """The reference for this checkpoint, or None."""
        try:
            return SourceReference.model_validate_json(self._reference(checkpoint_digest).read_bytes())
        except FileNotFoundError:
            return None

    def keep(self, checkpoint_digest: str, statistics: FeatureStatistics, dataset: str) -> SourceReference:
        """Write them, replacing older ones; the reference is written last, so a reader finds whole files."""
        written = self._root.resolve() / f".{uuid.uuid4().hex}.npz"
        statistics.save(written)
        digest = digest_file(written)
        path = written.replace(written.with_name(f"{digest}.npz"))
        reference = SourceReference(path=path, digest=digest, dataset=dataset)
        with whole_file(self._reference(checkpoint_digest)) as file:
            file.write(reference.model_dump_json().encode())
        return reference

    def _reference(self, checkpoint_digest: str) -> Path:
        return self._root / f"{checkpoint_digest}.json"
