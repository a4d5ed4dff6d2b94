"""Read-only views of a folder or a zip as named files.

Nothing is ever extracted to disk, so a member's name can do no harm; limits are applied before anything is read.
Symbolic links are followed as long as they stay inside the folder.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from frontrunner.errors import DatasetTooLarge, EmptyDataset, UnreadableDataset
from frontrunner.files import digest_file

# A hub of a million images is ranked on a sample anyway; beyond this an index alone takes gigabytes.
MAX_FILES = 2_000_000
# One image or table member; larger ones are a mistake or an attack (images are also limited by pixels).
MAX_MEMBER_BYTES = 2 * 1024**3
# Folders inside of folders; nobody sorts deeper.
_MAX_DEPTH = 100
# Deflate reaches 1,000:1 only on constant bytes: such a member is no photograph.
MAX_COMPRESSION_RATIO = 200
_RATIO_MATTERS_ABOVE = 16 * 1024**2
# The bit of a member's flags that says so.
_ENCRYPTED = 0x1
# What systems leave in folders. Storage systems and viewers keep small copies of every picture in folders of their own.
_SYSTEM_NAMES = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "lost+found", "$recycle.bin"}
)
_THUMBNAIL_FOLDERS = frozenset({"@eadir", ".@__thumb", "#recycle", "@recycle", "@recently-snapshot"})
_THUMBNAILS = "thumbnails of a storage system"
_OUTSIDE = "links that lead outside of the folder or nowhere"
_UPWARDS = "members whose names lead out of the zip"
_BAD_NAME = "files and folders whose name is not UTF-8"
_CLOSED = "folders that cannot be opened"


class Files(Protocol):
    """Named byte strings: what a folder and a zip have in common."""

    def names(self) -> list[str]:
        """Paths with forward slashes, ascending; hidden files and system droppings left out."""
        ...

    def left_out(self) -> dict[str, int]:
        """What `names` left out, by what it is: how many. Hidden files and system droppings are not worth a word."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            UnreadableDataset: they cannot be read; the message says why.
        """
        ...


class FolderFiles:
    """The files below a folder. Links inside of it are followed; those that lead outside are left out."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._left_out: Counter[str] = Counter()

    def names(self) -> list[str]:
        """Paths relative to the folder, sorted."""
        self._left_out.clear()
        found: list[str] = []
        for path in self._walk(self.root, "", frozenset({self.root})):
            found.append(path)
            if len(found) > MAX_FILES:
                raise DatasetTooLarge(f"more than {MAX_FILES:,} files below {self.root.name}")
        return sorted(found)

    def left_out(self) -> dict[str, int]:
        """What the last `names` left out."""
        return dict(self._left_out)

    def holds(self, name: str) -> bool:
        """Whether a file of this name lies below the folder."""
        try:
            path = (self.root / name).resolve()
            return path.is_relative_to(self.root) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # a name too long, or with a NUL; a link in a circle
            return False

    def read(self, name: str) -> bytes:
        """The bytes of a file, which must lie below the folder."""
        try:
            path = (self.root / name).resolve()
            if path.is_relative_to(self.root) and not path.exists():
                raise UnreadableDataset(f"{name} is not there")
            if not path.is_relative_to(self.root):
                raise UnreadableDataset(f"{name} lies outside of the dataset's folder")
            if not path.is_file():
                raise UnreadableDataset(f"{name} is no file")
            if path.stat().st_size > MAX_MEMBER_BYTES:
                raise UnreadableDataset(f"{name} is larger than {MAX_MEMBER_BYTES:,} bytes")
            return path.read_bytes()
        except OSError as error:
            raise UnreadableDataset(f"{name} cannot be read: {error.strerror}") from error
        except (ValueError, RuntimeError) as error:  # a NUL in a name, a link in a circle
            raise UnreadableDataset(f"{name!r} is no name of a file: {error}") from error

    def _walk(self, folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[str]:
        """Files below the real path `folder`; `above` holds the folders on the way down, so a loop of links ends."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            self._left_out[_CLOSED] += 1
            return
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if not _is_utf8(entry.name):
                self._left_out[_BAD_NAME] += 1
                continue
            path = folder / entry.name
            if entry.is_symlink():
                try:
                    path = path.resolve(strict=True)
                except (OSError, RuntimeError):  # it leads nowhere, or round in a circle
                    path = Path(os.sep)
                if not path.is_relative_to(self.root):
                    self._left_out[_OUTSIDE] += 1
                    continue
            if entry.is_file():
                yield f"{prefix}{entry.name}"
            elif entry.is_dir() and _is_thumbnails(entry.name):
                self._left_out[_THUMBNAILS] += 1
            elif entry.is_dir() and path not in above and len(above) < _MAX_DEPTH:
                yield from self._walk(path, f"{prefix}{entry.name}/", above | {path})


class ZipFiles:
    """The members of a zip.

    Args:
        path: the file.
        name: what messages call it.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        name = name or path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except UnicodeDecodeError as error:
            raise UnreadableDataset(
                f"{name} is not a readable zip: the name of a file in it is not in the encoding that the zip declares"
            ) from error
        except Exception as error:  # the parser raises whatever a damaged directory leads it to
            raise UnreadableDataset(
                f"{name} is not a readable zip; it may be damaged or cut short, so fetch it again: {error}"
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._left_out: Counter[str] = Counter()
        for info in self._zip.infolist():
            member = _with_slashes(info.filename)
            parts = PurePosixPath(member).parts
            if ".." in parts:
                self._left_out[_UPWARDS] += 1
                continue
            if not member or member.endswith("/") or any(map(_is_hidden, parts)):
                continue
            if any(map(_is_thumbnails, parts[:-1])):
                self._left_out[_THUMBNAILS] += 1
                continue
            self._members[member] = info
        if len(self._members) > MAX_FILES:
            raise DatasetTooLarge(f"{name} holds {len(self._members):,} files; at most {MAX_FILES:,} are accepted")

    def names(self) -> list[str]:
        """Names of the members, sorted."""
        return sorted(self._members)

    def left_out(self) -> dict[str, int]:
        """What `names` leaves out."""
        return dict(self._left_out)

    def read(self, name: str) -> bytes:
        """The bytes of a member, unpacked."""
        info = self._members.get(name)
        if info is None:
            raise UnreadableDataset(f"{name} is not in the zip")
        _refuse_bomb(info, name)
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableDataset(f"{name} is encrypted; pack it without a password")
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


def refuse_bombs(data: bytes, name: str) -> None:
    """Refuse a zip that a library is to unpack as a whole, where one of its members is a bomb.

    Raises:
        UnreadableDataset: it is no zip, or a member is too large or unpacks to too many times its size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            members = container.infolist()
    except Exception as error:
        raise UnreadableDataset(f"{name} is damaged: {error}") from error
    for info in members:
        _refuse_bomb(info, f"{info.filename} in {name}")


def _refuse_bomb(info: zipfile.ZipInfo, name: str) -> None:
    if info.file_size > MAX_MEMBER_BYTES:
        raise UnreadableDataset(f"{name} unpacks to {info.file_size:,} bytes; at most {MAX_MEMBER_BYTES:,}")
    if info.file_size > max(_RATIO_MATTERS_ABOVE, MAX_COMPRESSION_RATIO * info.compress_size):
        raise UnreadableDataset(f"{name} unpacks to over {MAX_COMPRESSION_RATIO} times its size: a zip bomb")


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
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_NAMES


def _is_thumbnails(name: str) -> bool:
    return name.lower() in _THUMBNAIL_FOLDERS


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_slashes(name: str) -> str:
    """A member's name as the format asks for it: some programs write backslashes, or begin at the root."""
    return (name if "/" in name else name.replace("\\", "/")).lstrip("/")
