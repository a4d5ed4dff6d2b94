"""A store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure. Copies of what is read lie here.

An object store shows an object once all of it has come, which is what makes writes atomic.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from frontrunner.errors import StoreMisconfigured, StoreUnavailable
from frontrunner.failures import is_disk_full
from frontrunner.store.disk_cache import DiskCache
from frontrunner.store.protocol import StoredObject

# Protocols by the extra that brings their library. None other: that objects are whole is not everywhere so.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
# What the libraries call the time of an object's last change.
_MODIFIED = ("LastModified", "last_modified", "mtime", "updated")
_REASON_CHARACTERS = 300


class RemoteStore:
    """A `Store` below the address of a bucket and a prefix in it.

    Args:
        url: `s3://bucket/prefix` and the like.
        options: of fsspec's file system for this protocol.
        copies: keeps what was read or written on this machine.

    Raises:
        StoreMisconfigured: the protocol is none of those that are supported, or its library is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any], copies: DiskCache) -> None:
        protocol = url.partition("://")[0]
        if protocol not in EXTRAS:
            raise StoreMisconfigured(f"a store's address begins with {', '.join(EXTRAS)}:// or file://, not {protocol}")
        try:
            self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        except ImportError as error:
            raise StoreMisconfigured(f"{error}: pip install 'frontrunner[{EXTRAS[protocol]}]'") from error
        except (TypeError, ValueError) as error:
            raise StoreMisconfigured(f"the store's options do not fit {protocol}: {error}") from error
        self._root = root.rstrip("/")
        self._copies = copies

    def open(self, name: str) -> BinaryIO:
        """The copy, brought here where it is not yet."""
        while True:
            path = self.path(name)
            with contextlib.suppress(FileNotFoundError):  # whoever made room was faster
                return path.open("rb")

    def path(self, name: str) -> Path:
        """The copy's path, brought here where it is not yet."""
        return self._copies.find(name) or self._copies.add(name, lambda partial: self._get(name, partial))

    def holds(self, name: str) -> bool:
        """What the bucket says."""
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            self._files.info(self._at(name))
            return True
        return False

    def link(self, name: str, valid_s: int) -> str | None:
        """A signed address, where the client of this protocol makes any."""
        with self._reaching():
            self._files.info(self._at(name))
            try:
                return str(self._files.sign(self._at(name), expiration=valid_s))
            except NotImplementedError:
                return None

    def read(self, name: str) -> bytes:
        """The bytes from the bucket."""
        with self._reaching():
            return bytes(self._files.cat_file(self._at(name)))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file of this disk, which is sent when the block ends well."""
        partial = self._copies.partial()
        try:
            with partial.open("wb") as file:
                yield file
            self.put_file(partial, name)
        finally:
            partial.unlink(missing_ok=True)

    def put_file(self, path: Path, name: str) -> None:
        """Send a file in parts; it becomes the copy too where it lies on that disk."""
        with self._reaching(creating=True):
            self._files.put_file(str(path), self._at(name))
        try:
            self._copies.adopt(path, name)
        except OSError:  # another disk, or no room
            self._copies.discard(name)

    def partial(self, prefix: str) -> Path:
        """A path among the copies."""
        return self._copies.partial()

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """What the bucket lists."""
        with self._reaching():
            found = self._files.find(self._at(prefix), detail=True)
        for path, entry in found.items():
            if entry["type"] == "file" and path.startswith(self._at(prefix) + "/"):
                yield StoredObject(path.removeprefix(f"{self._root}/"), int(entry["size"]), _modified_at(entry))

    def remove(self, name: str) -> None:
        """Remove the object and this machine's copy of it; those of other machines are no more looked for."""
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))
        self._copies.discard(name)

    def remove_abandoned(self, prefix: str, before: float) -> int:
        """None: a bucket's own rules end uploads in parts that were broken off, and copies are looked after here."""
        return 0

    def discard_copy(self, name: str) -> bool:
        """Drop the copy."""
        return self._copies.discard(name)

    def _get(self, name: str, to: Path) -> None:
        with self._reaching():
            self._files.get_file(self._at(name), str(to))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _reaching(self, *, creating: bool = False) -> Iterator[None]:
        """What the libraries raise, as `StoreUnavailable`; an object that is absent is a `FileNotFoundError`."""
        try:
            yield
        except Exception as error:
            absent = isinstance(error, FileNotFoundError) and not creating
            if absent or is_disk_full(error):
                raise
            said = " ".join(str(error).split())[:_REASON_CHARACTERS]
            raise StoreUnavailable(f"the store {self._root} cannot be used ({type(error).__name__}: {said})") from error


def _modified_at(entry: Mapping[str, Any]) -> float:
    stated = next((entry[key] for key in _MODIFIED if entry.get(key) is not None), 0.0)
    if isinstance(stated, str):
        stated = datetime.fromisoformat(stated)
    return stated.timestamp() if isinstance(stated, datetime) else float(stated)
