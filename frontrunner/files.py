"""Files that are whole, and digests that name what is in them."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

# To be held while NumPy reads an array's header: it parses it by `ast`, which in Python 3.11 counts its depth for all
# threads together, and then now and then raises SystemError in two of them at once.
ARRAY_HEADERS = threading.Lock()
# Digests that a process remembers: a hub of a thousand checkpoints has a few files each.
_REMEMBERED = 4096


@contextmanager
def whole_file(path: Path, *, durable: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write to, which takes `path`'s place when the block ends well and vanishes when it does not.

    A reader sees the old file or the whole new one, never a part. Any number of processes may write one path at a time:
    the last to finish wins. Folders above are made.

    Args:
        path: where the file is to be.
        durable: wait until the bytes are on the disk, for what cannot be made again.
        private: nobody else may read it, from its first byte on.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "folder" / "numbers"
        >>> with whole_file(target) as file:
        ...     _ = file.write(b"1 2 3")
        >>> target.read_bytes()
        b'1 2 3'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with created(partial, 0o600 if private else 0o666) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def created(path: Path, mode: int = 0o666) -> BinaryIO:
    """A new file to write to; its folder is made again where it was empty and somebody tidied up."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    try:
        return open(path, "wb", opener=opener)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb", opener=opener)


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, read a block at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Status(NamedTuple):
    """What changes when a file does: whoever replaces it or writes to it leaves another status behind."""

    path: str
    size: int
    modified_ns: int
    changed_ns: int
    inode: int


class _DigestMemory:
    """Digests by the status of their files, the least recently asked for forgotten first; safe among threads."""

    def __init__(self) -> None:
        self._digests: OrderedDict[_Status, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, status: _Status) -> str | None:
        with self._lock:
            if status in self._digests:
                self._digests.move_to_end(status)
            return self._digests.get(status)

    def put(self, status: _Status, digest: str) -> None:
        with self._lock:
            self._digests[status] = digest
            if len(self._digests) > _REMEMBERED:
                self._digests.popitem(last=False)


_MEMORY = _DigestMemory()


def digest_once(path: Path) -> str:
    """`digest_file`, remembered by this process while the file's status stays as it is.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "numbers"
        >>> _ = target.write_bytes(b"1 2 3")
        >>> digest_once(target) == digest_once(target) == hashlib.sha256(b"1 2 3").hexdigest()
        True
    """
    status = _status(path)
    digest = _MEMORY.get(status)
    if digest is None:
        digest = digest_file(path)
        _MEMORY.put(status, digest)
    return digest


def remember_digest(path: Path, digest: str) -> None:
    """Tell `digest_once` the digest of a file that was just written, and hashed on its way."""
    _MEMORY.put(_status(path), digest)


def _status(path: Path) -> _Status:
    found = path.stat()
    return _Status(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
