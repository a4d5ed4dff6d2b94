"""What a step may reach, found in its payload by the supervisor before any runner sees it."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from frontrunner.data import DatasetReference
from frontrunner.extraction import FEATURES, FeatureKey
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.ranking.sources import SOURCES
from frontrunner.settings import Settings
from frontrunner.store import FolderStore, open_store, uploads
from frontrunner.tuning.artifacts import artifacts_prefix
from jobs.kinds import KINDS
from workers.places import Places, inodes_of
from workers.runner_protocol import Grant

Found = TypeVar("Found", bound=BaseModel)

# What was fetched on this machine, each by its digest: every runner reads it.
_FETCHED = ("snapshots", "packages")
# Where the hub's own client keeps what other programs of this user fetched.
_CLIENTS_CACHE = Path(".cache", "huggingface", "hub")


class StepNeeds:
    """What one step needs: of the store and of hubs, and of this machine's disk.

    Args:
        kind: of the job.
        payload: JSON of the step's payload. It was written by the API, and names all that the step may touch.
        settings: this machine's.
    """

    def __init__(self, kind: str, payload: str, settings: Settings) -> None:
        self._kind = KINDS[kind]
        self._payload = self._kind.payload.model_validate_json(payload)
        self._settings = settings
        self._checkpoints = list(_held(self._payload, CheckpointDescription))
        self._datasets = list(_held(self._payload, DatasetReference))

    def grant(self) -> Grant:
        """What it may have fetched, and what it may read and write in the store."""
        readings = {
            f"{FEATURES}/{reading}"
            for checkpoint in self._checkpoints
            for dataset in self._datasets
            for reading in FeatureKey.readings(checkpoint, dataset.owner)
        }
        made = {artifacts_prefix(self._kind.files_name(self._payload))} if self._kind.leaves_files else set()
        return Grant(
            checkpoints={found.id: found.model_dump_json() for found in self._checkpoints},
            datasets=tuple(sorted({dataset.digest for dataset in self._datasets})),
            reads=tuple(sorted({SOURCES, *self._blobs(), *readings, *made})),
            writes=tuple(sorted({*readings, *made})),
        )

    def places(self) -> Places:
        """Where a runner may read and write that is started for the step; steps like it find theirs among them."""
        hub = HubAccess.of(self._settings).folder
        written = [hub / "speeds", *(HubAccess.of(self._settings).pixels / each.digest for each in self._datasets)]
        if self._settings.hub_pickles:
            written.append(hub / "rewritten")
        folders = [place for folder in self._settings.hub for place in _with_links(folder)]
        read = _resolved(self._read())
        return Places(
            scratch=self._settings.work.resolve() / f"runner-{uuid.uuid4().hex}",
            readable=(*_resolved([Path.home() / _CLIENTS_CACHE, *folders]), *read),
            writable=_resolved([*written, *self._worked_in()]),
            filled=_resolved([hub / name for name in _FETCHED]),
            is_confined=self._settings.confine_runners,
            inodes=inodes_of(read),
        )

    def fit(self, places: Places) -> bool:
        """Whether a runner with these places can do the step."""
        kept = {*_resolved([HubAccess.of(self._settings).pixels / each.digest for each in self._datasets])}
        kept |= {*_resolved(self._worked_in())}
        return kept <= {*places.writable} and all(map(places.may_read, _resolved(self._read())))

    def _blobs(self) -> list[str]:
        stored = uploads(open_store(self._settings))
        return [stored.name(dataset.blob) for dataset in self._datasets if dataset.blob is not None]

    def _read(self) -> Iterator[Path]:
        """Files and folders of this step alone."""
        for dataset in self._datasets:
            if dataset.path is not None:
                yield dataset.path
        for checkpoint in self._checkpoints:
            if checkpoint.path:
                yield from _with_links(Path(checkpoint.path))
        store = open_store(self._settings)
        if isinstance(store, FolderStore):  # read where they lie; copies of a bucket are handed over one by one
            for name in self._blobs():
                with contextlib.suppress(FileNotFoundError):
                    yield store.path(name)

    def _worked_in(self) -> list[Path]:
        return [self._settings.work / name for name in self._kind.folders(self._payload)]


def prepare(places: Places) -> None:
    """Make a runner's folders."""
    for folder in places.made:
        folder.mkdir(parents=True, exist_ok=True)


def discard(places: Places) -> None:
    """Remove what a runner left that is over."""
    for folder in (places.scratch, places.handed):
        shutil.rmtree(folder, ignore_errors=True)


def _held(value: Any, kind: type[Found]) -> Iterator[Found]:
    """Every model of a kind in a payload, however deep."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _held(getattr(value, name), kind)
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _held(each, kind)


def _with_links(folder: Path) -> Iterator[Path]:
    """A folder, and what links in it lead to: rights are of places, and not of names."""
    yield folder
    with contextlib.suppress(OSError):
        yield from (path for path in folder.iterdir() if path.is_symlink())


def _resolved(paths: list[Path] | Iterator[Path]) -> tuple[Path, ...]:
    found = set()
    for path in paths:
        with contextlib.suppress(OSError, RuntimeError):  # a link that leads to itself
            found.add(path.resolve())
    return tuple(sorted(found))
