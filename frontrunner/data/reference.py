"""A dataset by where it lies, on this machine or in the store: what a process needs to open it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from frontrunner.data.dataset import Dataset, DatasetOptions, dataset_id
from frontrunner.data.opening import open_dataset
from frontrunner.data.positions import read_positions
from frontrunner.data.report import DatasetReport
from frontrunner.settings import get_settings
from frontrunner.store import Store, open_store, uploads


class DatasetReference(BaseModel):
    """Where a runner finds the dataset, and what its check left out.

    Attributes:
        path: a file or folder of this machine; None for an upload.
        blob: SHA-256 of an upload in the store; None for a path.
        unreadable: positions of what its check left out.
        owner: whose it is; cached features are shared among one owner's datasets only.
    """

    model_config = ConfigDict(frozen=True)

    path: Path | None = None
    blob: str | None = None
    name: str
    digest: str
    options: DatasetOptions = DatasetOptions()
    unreadable: str = ""
    owner: str = ""

    @property
    def id(self) -> str:
        """The public id."""
        return dataset_id(self.digest)

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if (self.path is None) == (self.blob is None):
            raise ValueError("a dataset lies either at a path or in the store")
        return self

    def open(self, store: Store | None = None) -> Dataset:
        """The dataset without the inputs that its check left out.

        Args:
            store: where uploads are; as the environment says by default.

        Raises:
            StoredFileMissing, StoredFileDamaged: the upload is not there any more, or not what it was.
            InvalidDataset: it cannot be opened.
        """
        path = self.path
        if self.blob is not None:
            path = uploads(store or open_store(get_settings())).path(self.blob)
        assert path is not None  # noqa: S101 - validated
        opened = open_dataset(path, self.options, digest=self.digest, name=self.name)
        opened = replace(opened, owner=self.owner)
        return opened.without(read_positions(self.unreadable, len(opened.train) + len(opened.test)))

    @classmethod
    def of(cls, place: Path | str, report: DatasetReport, options: DatasetOptions, owner: str = "") -> DatasetReference:
        """The dataset at a path, or the upload with this digest, as checked by `report`."""
        return cls(
            path=place if isinstance(place, Path) else None,
            blob=place if isinstance(place, str) else None,
            name=report.name,
            digest=report.digest,
            options=options,
            unreadable=report.unreadable_positions,
            owner=owner,
        )
