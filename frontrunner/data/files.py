"""Read-only views of a folder or a zip as named files.

Nothing is ever extracted to disk, so a member's name can do no harm; limits are applied before anything is read.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from frontrunner.errors import DatasetTooLarge, EmptyDataset, UnreadableDataset

# A hub of a million images is ranked on a sample anyway; beyond this an index alone takes gigabytes.
MAX_FILES = 2_000_000
# One image or table member; larger ones are a mistake or an attack (images are also limited by pixels).
MAX_MEMBER_BYTES = 2 * 1024**3
# Deflate reaches 1,000:1 only on constant bytes: such a member is no photograph.
MAX_COMPRESSION_RATIO = 200
_RATIO_MATTERS_ABOVE = 16 * 1024**2


class Files(Protocol):
    """Named byte strings: what a folder and a zip have in common."""

    def names(self) -> list[str]:
        """Paths with forward slashes, ascending; hidden files and system droppings left out."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            UnreadableDataset: they cannot be read; the message says why.
        """
        ...


class FolderFiles:
    """The files below a folder; links that lead outside of it are left out."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def names(self) -> list[str]:
        """Paths relative to the folder, sorted."""
        found: list[str] = []
        for folder, subfolders, files in os.walk(self.root):
            subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
            relative = Path(folder).relative_to(self.root)
            found += [(relative / name).as_posix() for name in files if not _is_hidden(name)]
            if len(found) > MAX_FILES:
                raise DatasetTooLarge(f"more than {MAX_FILES:,} files below {self.root.name}")
        return sorted(found)

    def read(self, name: str) -> bytes:
        """The bytes of a file, which must lie below the folder."""
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise UnreadableDataset(f"{name} lies outside of the dataset's folder")
        try:
            if path.stat().st_size > MAX_MEMBER_BYTES:
                raise UnreadableDataset(f"{name} is larger than {MAX_MEMBER_BYTES:,} bytes")
            return path.read_bytes()
        except OSError as error:
            raise UnreadableDataset(f"{name}: {error.strerror}") from error


class ZipFiles:
    """The members of a zip."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise UnreadableDataset(f"{path.name} is not a readable zip: {error}") from error
        members = [
            info
            for info in self._zip.infolist()
            if not info.is_dir() and not any(map(_is_hidden, PurePosixPath(info.filename).parts))
        ]
        if len(members) > MAX_FILES:
            raise DatasetTooLarge(f"{path.name} holds {len(members):,} files; at most {MAX_FILES:,} are accepted")
        self._members = {info.filename: info for info in members}

    def names(self) -> list[str]:
        """Names of the members, sorted."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """The bytes of a member, unpacked."""
        info = self._members.get(name)
        if info is None:
            raise UnreadableDataset(f"{name} is not in the zip")
        if info.file_size > MAX_MEMBER_BYTES:
            raise UnreadableDataset(f"{name} unpacks to {info.file_size:,} bytes; at most {MAX_MEMBER_BYTES:,}")
        if info.file_size > max(_RATIO_MATTERS_ABOVE, MAX_COMPRESSION_RATIO * info.compress_size):
            raise UnreadableDataset(f"{name} unpacks to over {MAX_COMPRESSION_RATIO} times its size: a zip bomb")
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1)
        except (
            zipfile.BadZipFile,
            RuntimeError,
            NotImplementedError,
            OSError,
            EOFError,
            ValueError,
        ) as error:
            raise UnreadableDataset(f"{name}: {error}") from error
        except Exception as error:  # zlib.error and lzma.LZMAError share no public base class
            raise UnreadableDataset(f"{name} is damaged: {error}") from error
        if len(data) > info.file_size:
            raise UnreadableDataset(f"{name} is larger than the zip says")
        return data


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, read a block at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(root: Path) -> str:
    """SHA-256 over the sorted (path, SHA-256 of bytes) of a folder's files, hexadecimal.

    Raises:
        EmptyDataset: the folder holds no file.
    """
    names = FolderFiles(root).names()
    if not names:
        raise EmptyDataset(f"the folder {root.name} holds no files")
    total = hashlib.sha256()
    for name in names:
        total.update(f"{name}\0{digest_file(root / name)}\n".encode())
    return total.hexdigest()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
