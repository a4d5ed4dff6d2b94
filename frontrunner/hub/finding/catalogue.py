"""Finding checkpoints: in folders of folders, in installed packages, among a dataset's own feature sets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from frontrunner.data import Dataset, FeatureInputs
from frontrunner.errors import CheckpointError, CheckpointNotFound, DuplicateCheckpoint
from frontrunner.hub.describing.configuration import CONFIG_FILE
from frontrunner.hub.describing.description import CheckpointDescription, describe_directory
from frontrunner.hub.finding.packages import KNOWN, describe_package


class SkippedCheckpoint(BaseModel):
    """A checkpoint that was left out, and why."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    code: str
    reason: str

    @classmethod
    def because(cls, checkpoint: str, error: CheckpointError) -> SkippedCheckpoint:
        """Left out because of `error`."""
        return cls(checkpoint=checkpoint, code=error.code, reason=error.reason)


class Catalogue(BaseModel):
    """The checkpoints that were found, and the folders that look like one and cannot be used."""

    checkpoints: tuple[CheckpointDescription, ...] = ()
    skipped: tuple[SkippedCheckpoint, ...] = ()


def find_checkpoints(hubs: Sequence[Path], packages: bool, *, pickles_allowed: bool = False) -> Catalogue:
    """Describe every checkpoint in the folders `hubs` and, with `packages`, in installed packages.

    A hub is a folder of checkpoint folders, or one checkpoint folder itself. Where two hubs offer one name, the first
    is used and the other reported. `pickles_allowed` is an administrator's setting.

    Raises:
        CheckpointNotFound: a hub folder does not exist.
    """
    found: dict[str, CheckpointDescription] = {}
    skipped: list[SkippedCheckpoint] = []
    for folder in _checkpoint_folders(hubs):
        checkpoint_id = f"local:{folder.name}"
        try:
            if checkpoint_id in found:
                raise DuplicateCheckpoint(
                    f"{checkpoint_id} was already found in {Path(found[checkpoint_id].path).parent}"
                )
            found[checkpoint_id] = describe_directory(folder, pickles_allowed=pickles_allowed)
        except CheckpointError as error:
            skipped.append(SkippedCheckpoint.because(checkpoint_id, error))
    for package in KNOWN if packages else ():
        try:
            description = describe_package(package)
        except CheckpointError as error:
            skipped.append(SkippedCheckpoint.because(package.pinned.id, error))
        else:
            if description is not None:
                found[description.id] = description
    return Catalogue(checkpoints=tuple(found.values()), skipped=tuple(skipped))


def feature_sets(dataset: Dataset) -> tuple[CheckpointDescription, ...]:
    """The feature sets of a dataset of precomputed features, each as one checkpoint `features:NAME`."""
    if not isinstance(dataset.inputs, FeatureInputs):
        return ()
    return tuple(
        CheckpointDescription(
            id=f"features:{name}",
            library="features",
            modality="features",
            architecture=f"precomputed, {matrix.shape[1]} features",
            digest=hashlib.sha256(f"{dataset.digest}\n{name}".encode()).hexdigest(),
            preprocessing_digest="none",
            parameters=0,
            bytes=int(matrix.nbytes),
            path="",
        )
        for name, matrix in dataset.inputs.sets.items()
    )


def _checkpoint_folders(hubs: Iterable[Path]) -> list[Path]:
    folders: list[Path] = []
    for hub in hubs:
        if not hub.is_dir():
            raise CheckpointNotFound(f"the hub {hub} is not a folder")
        if (hub / CONFIG_FILE).is_file():
            folders.append(hub)
        else:
            folders += sorted(path for path in hub.iterdir() if path.is_dir() and not path.name.startswith("."))
    return folders
