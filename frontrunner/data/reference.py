"""A dataset by where it lies: what a process needs to open it again."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from frontrunner.data.dataset import Dataset, DatasetOptions, Key, dataset_id
from frontrunner.data.opening import open_dataset
from frontrunner.data.report import DatasetReport


class DatasetReference(BaseModel):
    """Where a runner finds the dataset, and what its check left out."""

    model_config = ConfigDict(frozen=True)

    path: Path
    name: str
    digest: str
    options: DatasetOptions = DatasetOptions()
    unreadable: tuple[Key, ...] = ()

    @property
    def id(self) -> str:
        """The public id."""
        return dataset_id(self.digest)

    def open(self) -> Dataset:
        """The dataset without the inputs that its check left out."""
        opened = open_dataset(self.path, self.options, digest=self.digest, name=self.name)
        return opened.without(self.unreadable)

    @classmethod
    def of(cls, path: Path, report: DatasetReport, options: DatasetOptions) -> DatasetReference:
        """The dataset at `path` as checked by `report`."""
        return cls(
            path=path,
            name=report.name,
            digest=report.digest,
            options=options,
            unreadable=tuple(file.key for file in report.unreadable),
        )
