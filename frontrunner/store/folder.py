"""A store that is a folder: objects are files, read where they lie."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from frontrunner.files import whole_file
from frontrunner.store.protocol import StoredObject


class FolderStore:
    """A `Store` below a folder, on a disk of this machine or one that machines share.

    Args:
        root: the folder; made when something is first kept.

    Example:
        >>> import tempfile
        >>> store = FolderStore(Path(tempfile.mkdtemp()))
        >>> with store.writing("a/b") as file:
        ...     _ = file.write(b"1 2 3")
        >>> store.read("a/b"), [(found.name, found.bytes) for found in store.list("a")]
        (b'1 2 3', [('a/b', 5)])
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def open(self, name: str) -> BinaryIO:
        """The file itself."""
        return self._file(name).open("rb")

    def path(self, name: str) -> Path:
        """The file's own path."""
        path = self._file(name)
        path.stat()
        return path

    def holds(self, name: str) -> bool:
        """Whether the file is there."""
        return self._file(name).is_file()

    def link(self, name: str, valid_s: int) -> str | None:
        """None: a folder has no address."""
        return None

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return self._file(name).read_bytes()

    def writing(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file beside the one that it becomes."""
        return whole_file(self._file(name))

    def put_file(self, path: Path, name: str) -> None:
        """A second name for the file where both lie on one disk, else a copy. The bytes are on the disk afterwards."""
        target = self._file(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        second = target.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            os.link(path, second)
            os.replace(second, target)
        except OSError:
            with whole_file(target, durable=True) as copy, path.open("rb") as file:
                shutil.copyfileobj(file, copy, 1 << 20)
        finally:
            second.unlink(missing_ok=True)

    def partial(self, prefix: str) -> Path:
        """A hidden path below the prefix."""
        folder = self._file(prefix)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f".{uuid.uuid4().hex}.partial"

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The files below the prefix, without hidden ones: those are not whole."""
        for path, status in self._walk(prefix):
            if not path.name.startswith("."):
                yield StoredObject(path.relative_to(self._root).as_posix(), status.st_size, status.st_mtime)

    def remove(self, name: str) -> None:
        """Remove the file, and the folders that it leaves empty."""
        path = self._file(name)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            for folder in path.parents[: len(PurePosixPath(name).parts) - 1]:
                folder.rmdir()

    def remove_abandoned(self, prefix: str, before: float) -> int:
        """Remove hidden files that nobody has written to since."""
        abandoned = [
            path for path, status in self._walk(prefix) if path.name.startswith(".") and status.st_mtime < before
        ]
        for path in abandoned:
            path.unlink(missing_ok=True)
        return len(abandoned)

    def discard_copy(self, name: str) -> bool:
        """False: the file is the object itself."""
        return False

    def _walk(self, prefix: str) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, files in os.walk(self._file(prefix)):
            for file in files:
                path = Path(folder, file)
                with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                    yield path, path.stat()

    def _file(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise ValueError(f"{name!r} is no name of an object")
        return self._root.joinpath(*parts)
