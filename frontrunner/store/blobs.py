"""Blobs: bytes under their own SHA-256, written as they come and compared with their name when they are read."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from frontrunner.errors import DatasetTooLarge, EmptyDataset, StorageFull, StoredFileDamaged, StoredFileMissing
from frontrunner.failures import DISK_FULL
from frontrunner.files import created, digest_once, remember_digest
from frontrunner.store.protocol import Store

UPLOADS = "blobs"


class Blobs:
    """The blobs below a prefix of a store.

    Args:
        store: where they lie.
        prefix: what their names begin with.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def name(self, digest: str) -> str:
        """What the store calls the blob with this digest."""
        return f"{self._prefix}/{digest[:2]}/{digest}"

    def path(self, digest: str) -> Path:
        """A local file with the bytes, whose digest was computed since it was last changed.

        Raises:
            StoredFileMissing: the store does not hold them.
            StoredFileDamaged: it holds other bytes in their place.
        """
        name = self.name(digest)
        for _ in range(2):
            try:
                path = self._store.path(name)
                found = digest_once(path)
            except FileNotFoundError:
                raise _missing(digest) from None
            if found == digest or not self._store.discard_copy(name):
                break
        if found != digest:
            raise StoredFileDamaged(
                f"the bytes that are stored under SHA-256 {digest} are others by now (SHA-256 {found}): the store's "
                "disk may be failing; upload or make them again"
            )
        return path

    def link(self, digest: str, valid_s: int) -> str | None:
        """An address of the bytes, see `Store.link`; whoever reads them there compares them with their digest.

        Raises:
            StoredFileMissing: the store does not hold them.
        """
        try:
            return self._store.link(self.name(digest), valid_s)
        except FileNotFoundError:
            raise _missing(digest) from None

    def put_file(self, path: Path) -> str:
        """Keep a local file's bytes; returns their SHA-256."""
        digest = digest_once(path)
        self._store.put_file(path, self.name(digest))
        return digest

    def receive(self, max_bytes: int) -> BlobWriter:
        """Begin an upload of at most `max_bytes`. Nothing is written before its first byte."""
        return BlobWriter(self._store, self, self._prefix, max_bytes)


def uploads(store: Store) -> Blobs:
    """Datasets as they were uploaded."""
    return Blobs(store, UPLOADS)


class BlobWriter:
    """Receives one upload: bytes go to a temporary file and into the digest at the same time.

    Used as a context manager; unless `keep` was called, nothing of the upload is left afterwards. Until then the bytes
    are at hand, whatever becomes of those in the store: others may remove an equal upload at any moment.

    Attributes:
        bytes: that have come.
        kept: the digest under which they were put into the store; None before that.
    """

    def __init__(self, store: Store, blobs: Blobs, prefix: str, max_bytes: int) -> None:
        self._store = store
        self._blobs = blobs
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.bytes = 0
        self.kept: str | None = None

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
            if self._file is None:
                self._file = created(self._store.partial(self._prefix))
            self._file.write(data)

    @property
    def digest(self) -> str:
        """SHA-256 of what has come."""
        return self._sha256.hexdigest()

    @property
    def path(self) -> Path:
        """The bytes that have come, as a file of this machine; asked for once something has."""
        assert self._file is not None  # noqa: S101 - opened with the first byte
        return Path(self._file.name)

    def keep(self) -> str:
        """Finish, and put the bytes in their place; returns their SHA-256.

        Raises:
            EmptyDataset: no byte has come.
            StorageFull: the disk has no room for it.
            StoreUnavailable: the store does not take it.
        """
        if self._file is None or not self.bytes:
            raise EmptyDataset("the upload is empty")
        digest = self.kept = self.digest
        name = self._blobs.name(digest)
        with _room():
            self._file.close()
            self._store.put_file(self.path, name)
        with contextlib.suppress(FileNotFoundError):
            remember_digest(self._store.path(name), digest)
        return digest

    def keep_still(self) -> None:
        """Put the bytes in their place again where somebody has removed them since; errors as of `keep`."""
        if not self._store.holds(self._blobs.name(self.digest)):
            self.keep()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        # What is still buffered may find no room either; it is not wanted any more.
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


def _missing(digest: str) -> StoredFileMissing:
    return StoredFileMissing(f"the bytes with SHA-256 {digest} are no more in the store; upload or make them again")


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise StorageFull(f"the upload cannot be stored: {error.strerror}; make room and send it again") from error
