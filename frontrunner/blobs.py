"""The blob store: uploaded bytes under their own digest, written as they come."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from frontrunner.errors import DatasetTooLarge, EmptyDataset, StorageFull
from frontrunner.failures import DISK_FULL


class BlobWriter:
    """Receives one upload: bytes go to a temporary file and into the digest at the same time.

    Used as a context manager; unless `keep` was called, nothing of the upload is left afterwards.
    """

    def __init__(self, store: BlobStore, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._partial = store.root / f".{uuid.uuid4().hex}.partial"
        self._file = self._partial.open("wb")
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            DatasetTooLarge: more than the limit has come.
            StorageFull: the disk has no room for it.
        """
        self.bytes += len(data)
        if self.bytes > self._max_bytes:
            raise DatasetTooLarge(f"the upload is larger than {self._max_bytes:,} bytes")
        self._sha256.update(data)
        with _room():
            self._file.write(data)

    def keep(self) -> str:
        """Finish, and move the bytes to their place; returns their SHA-256.

        Raises:
            EmptyDataset: no byte has come.
            StorageFull: the disk has no room for it.
        """
        if not self.bytes:
            raise EmptyDataset("the upload is empty")
        with _room():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        digest = self._sha256.hexdigest()
        target = self._store.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._partial, target)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still buffered may find no room either; it is not wanted any more.
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise StorageFull(f"the upload cannot be stored: {error.strerror}; make room and send it again") from error


class BlobStore:
    """Bytes by SHA-256 below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the bytes with this digest are, if they are."""
        return self.root / digest[:2] / digest

    def receive(self, max_bytes: int) -> BlobWriter:
        """Begin an upload of at most `max_bytes`."""
        return BlobWriter(self, max_bytes)
