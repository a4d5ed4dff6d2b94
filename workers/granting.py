"""What the half of a runner that is not confined does for the other one: only what the step in hand was granted.

The other half may be in a stranger's hands: what it asks for is compared with the grant, which the supervisor made,
and what it hands over is copied before it is looked at.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import structlog
from pydantic import JsonValue

from frontrunner.errors import InternalError
from frontrunner.failures import is_failure, refusal_of
from frontrunner.files import created
from frontrunner.settings import Settings
from frontrunner.store import open_store
from workers.places import Places
from workers.reporting import ReportedProgress, StopWork
from workers.runner_protocol import ABSENT, STOPPED, Answered, Asked, Grant

_log = structlog.wrap_logger(logging.getLogger("frontrunner.runner"))


class Granting:
    """Answers what a confined process asks, one thing after the other.

    Args:
        settings: this machine's, with the credentials of hubs and store.
        places: what the other half can read by itself.
        progress: hears of downloads.
    """

    def __init__(self, settings: Settings, places: Places, progress: ReportedProgress) -> None:
        self._settings = settings
        self._places = places
        self._progress = progress
        self._store = open_store(settings)
        self._operations: dict[str, Callable[[Asked, Grant], JsonValue]] = {
            "fetch": self._fetch,
            "room": self._room,
            "path": self._path,
            "read": self._read,
            "list": self._list,
            "write": self._write,
            "put": self._put,
            "discard": self._discard,
        }

    def answer(self, asked: Asked, grant: Grant) -> Answered:
        """Do what was asked, where the grant allows it."""
        try:
            return Answered(value=self._operations[asked.what](asked, grant))
        except FileNotFoundError:
            return Answered(code=ABSENT)
        except StopWork:
            return Answered(code=STOPPED)
        except BaseException as error:
            if not is_failure(error):
                raise
            refusal = refusal_of(error, asked.name)
            return Answered(code=refusal.code, reason=refusal.reason)

    def _fetch(self, asked: Asked, grant: Grant) -> str:
        # The hubs' libraries are loaded while the other half loads torch.
        from frontrunner.hub import CheckpointDescription, HubAccess, hub_of, hubs_of

        if asked.name not in grant.checkpoints:
            raise _refused(asked)
        description = CheckpointDescription.model_validate_json(grant.checkpoints[asked.name])
        hubs = hubs_of(HubAccess.of(self._settings), self._settings.hub)
        folder = hub_of(description.id, hubs).fetch(description, self._progress)
        if self._places.may_read(folder):
            return str(folder)
        # A hub of somebody else's, which keeps its files where it likes.
        handed = self._places.handed / uuid.uuid4().hex / folder.name
        shutil.copytree(folder, handed, copy_function=_hand_over)
        return str(handed)

    def _room(self, asked: Asked, grant: Grant) -> int:
        from frontrunner.extraction.pixel_room import take_room
        from frontrunner.hub import HubAccess

        if asked.name not in grant.datasets:
            raise _refused(asked)
        return take_room(
            HubAccess.of(self._settings).pixels, asked.name, self._settings.pixels_max_bytes, max(asked.bytes, 0)
        )

    def _path(self, asked: Asked, grant: Grant) -> str:
        """The object where it lies, if the other half can read it there; a second name for it otherwise."""
        _require(asked, grant.reads)
        path = self._store.path(asked.name)
        if self._places.may_read(path):
            return str(path)
        handed = self._places.handed / uuid.uuid4().hex
        _hand_over(path, handed)
        return str(handed)

    def _read(self, asked: Asked, grant: Grant) -> str:
        _require(asked, grant.reads)
        return base64.b64encode(self._store.read(asked.name)).decode()

    def _list(self, asked: Asked, grant: Grant) -> list[JsonValue]:
        _require(asked, grant.reads)
        return [list(found) for found in self._store.list(asked.name)]

    def _write(self, asked: Asked, grant: Grant) -> bool:
        _require(asked, grant.writes)
        with self._given(asked) as given, self._store.writing(asked.name) as file:
            shutil.copyfileobj(given, file, 1 << 20)
        return True

    def _put(self, asked: Asked, grant: Grant) -> bool:
        _require(asked, grant.writes)
        partial = self._store.partial(asked.name.partition("/")[0])
        try:
            with self._given(asked) as given, created(partial) as file:
                shutil.copyfileobj(given, file, 1 << 20)
            self._store.put_file(partial, asked.name)
        finally:
            partial.unlink(missing_ok=True)
        return True

    def _discard(self, asked: Asked, grant: Grant) -> bool:
        _require(asked, grant.reads)
        return self._store.discard_copy(asked.name)

    @contextlib.contextmanager
    def _given(self, asked: Asked) -> Iterator[BinaryIO]:
        """A file of the scratch folder itself, whatever links lie in it."""
        if Path(asked.file).name != asked.file:
            raise _refused(asked)
        opened = os.open(self._places.scratch / asked.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise _refused(asked)
            yield file


def _hand_over(path: str | Path, to: str | Path) -> None:
    """A second name for what lies at a path, or a copy of it; it may be read there and not written to."""
    try:
        os.link(os.path.realpath(path), to)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or somebody else's file
        shutil.copyfile(path, to)


def _require(asked: Asked, prefixes: tuple[str, ...]) -> None:
    parts = asked.name.split("/")
    allowed = any(asked.name == prefix or asked.name.startswith(f"{prefix}/") for prefix in prefixes)
    if not allowed or not {"", ".", ".."}.isdisjoint(parts):
        raise _refused(asked)


def _refused(asked: Asked) -> InternalError:
    _log.error("runner_asked_too_much", what=asked.what, name=asked.name[:200], file=asked.file[:200])
    return InternalError(f"the step may not {asked.what} {asked.name[:200]}")
