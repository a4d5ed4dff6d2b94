"""Source statistics: what a checkpoint's features look like on the data that it was trained on.

With them the discrepancy measures from where pretraining really left a head; without, from the no-knowledge prior.
They are kept by the checkpoint's digest, so that other weights under the same name never find them: a blob with the
statistics, and a record that names it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.statistics import FeatureStatistics
from frontrunner.store import Blobs, Store, read_json, write_json

SOURCES = "sources"
_RECORD = ".json"


class SourceReference(BaseModel):
    """Which source statistics are meant; the digest makes them part of what a result rests on."""

    model_config = ConfigDict(frozen=True)

    digest: str = Field(description="SHA-256 of their file.")
    dataset: str = Field(description="Name of the source dataset.")


class SourceStore:
    """The source statistics in a store.

    Args:
        store: where they lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files = Blobs(store, SOURCES)

    def find(self, checkpoint_digest: str) -> SourceReference | None:
        """The reference for this checkpoint, or None."""
        stored = read_json(self._store, self._record(checkpoint_digest))
        return None if stored is None else SourceReference.model_validate(stored)

    def find_all(self, checkpoint_digests: Iterable[str]) -> dict[str, SourceReference]:
        """The references for those of the checkpoints that have one: the store is asked once for what it holds."""
        held = {found.name for found in self._store.list(SOURCES)}
        with_record = [digest for digest in checkpoint_digests if self._record(digest) in held]
        return {digest: found for digest in with_record if (found := self.find(digest)) is not None}

    def load(self, reference: SourceReference) -> FeatureStatistics:
        """The statistics.

        Raises:
            StoredFileMissing, StoredFileDamaged: they are not there any more, or not what they were.
        """
        return FeatureStatistics.load(self._files.path(reference.digest))

    def keep(self, checkpoint_digest: str, statistics: FeatureStatistics, dataset: str) -> SourceReference:
        """Write them, replacing older ones; the record is written last, so a reader finds whole files."""
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "statistics.npz"
            statistics.save(written)
            digest = self._files.put_file(written)
        reference = SourceReference(digest=digest, dataset=dataset)
        write_json(self._store, self._record(checkpoint_digest), reference.model_dump(mode="json"))
        return reference

    def _record(self, checkpoint_digest: str) -> str:
        return f"{SOURCES}/{checkpoint_digest}{_RECORD}"
