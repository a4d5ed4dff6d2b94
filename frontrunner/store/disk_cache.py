"""Copies of remote objects on this machine's disk, kept within a size: the least recently used go first."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

# A copy's time of use is noted to this precision: writing it down changes the file's status, and with it what is
# remembered of its digest.
_NOTED_EVERY_S = 600.0
# Room is made down to this share of the size, so that not every new copy needs some.
_ROOM = 0.9
# The disk is looked at again once so large a share of the size has come.
_LOOK_AFTER = 0.05
# What a process that was killed left half written.
_ABANDONED_AFTER_S = 24 * 3600.0


class DiskCache:
    """A folder of whole copies by name, shared by the processes of a machine.

    It holds `max_bytes`, a twentieth more for each process that adds to it, and always the copy that was added last.
    A copy that somebody has open stays readable when it is removed.

    Args:
        folder: where the copies lie.
        max_bytes: their size together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._added = float("inf")  # since the disk was looked at: it has not been yet

    def find(self, name: str) -> Path | None:
        """The copy, used now; None where there is none."""
        path = self._folder / name
        try:
            status = path.stat()
            if time.time() - status.st_atime > _NOTED_EVERY_S:
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        except FileNotFoundError:
            return None
        return path

    def add(self, name: str, write: Callable[[Path], None]) -> Path:
        """Make a copy: `write` puts the bytes into the file that it is given."""
        partial = self.partial()
        try:
            write(partial)
            return self.adopt(partial, name)
        finally:
            partial.unlink(missing_ok=True)

    def adopt(self, path: Path, name: str) -> Path:
        """Make a file of this disk the copy; it may be removed afterwards."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        second = self.partial()
        try:
            os.link(path, second)
            os.replace(second, target)
        finally:
            second.unlink(missing_ok=True)
        status = target.stat()
        os.utime(target, ns=(time.time_ns(), status.st_mtime_ns))
        self._added += status.st_size
        if self._added >= _LOOK_AFTER * self._max_bytes:
            self._make_room(target)
        return target

    def discard(self, name: str) -> bool:
        """Remove the copy; whether there was one."""
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def partial(self) -> Path:
        """The path of a new file that is no copy yet."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f".{uuid.uuid4().hex}.partial"

    def _make_room(self, newest: Path) -> None:
        copies: list[tuple[float, int, Path]] = []
        for folder, _, files in os.walk(self._folder):
            for file in files:
                path = Path(folder, file)
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    if not file.startswith("."):
                        copies.append((status.st_atime, status.st_size, path))
                    elif time.time() - status.st_mtime > _ABANDONED_AFTER_S:
                        path.unlink()
        self._added = 0
        total = sum(size for _, size, _ in copies)
        if total <= self._max_bytes:
            return
        for _, size, path in sorted(copies):
            if total <= _ROOM * self._max_bytes:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size
