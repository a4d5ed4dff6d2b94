"""What is uploaded: a file, or a folder that is zipped while it is sent and never lies whole in memory or on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from frontrunner.data.files import FolderFiles
from frontrunner.errors import DatasetNotFound, EmptyDataset

_PIECE = 1 << 18
# Compressed already: deflating them again costs time and gains nothing.
_COMPRESSED = frozenset(
    {".avif", ".gif", ".heic", ".jpeg", ".jpg", ".npz", ".parquet", ".png", ".webp", ".xlsx", ".zip"}
)
# The same folder makes the same bytes, which the service stores once.
_DATE = (1980, 1, 1, 0, 0, 0)


def opened_upload(path: Path) -> tuple[str, io.BufferedIOBase | io.RawIOBase]:
    """The name and the bytes of what is at `path`; whoever asks closes them.

    Raises:
        DatasetNotFound: nothing is there.
        EmptyDataset: a folder without a file.
    """
    if path.is_dir():
        names = FolderFiles(path).names()
        if not names:
            raise EmptyDataset(f"the folder {path} holds no files")
        return f"{path.resolve().name}.zip", ZippedFolder(path, names)
    if not path.exists():
        raise DatasetNotFound(f"there is no file or folder {path}")
    return path.name, path.open("rb")


class ZippedFolder(io.RawIOBase):
    """A folder's files as the bytes of a zip, made as they are read."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__()
        self._pieces = _zip_pieces(folder, names)
        self._left = b""

    def readable(self) -> bool:
        """It can be read, from the beginning to the end and once."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; fewer only at the end."""
        wanted = float("inf") if size is None or size < 0 else size
        pieces, length = [self._left], len(self._left)
        while length < wanted and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            length += len(piece)
        held = b"".join(pieces)
        end = len(held) if wanted == float("inf") else int(wanted)
        self._left = held[end:]
        return held[:end]


class _Sink(io.RawIOBase):
    """Where the zip is written to: it cannot be sought in, and what was written is taken away at once."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written


def _zip_pieces(folder: Path, names: list[str]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as packed:
        for name in names:
            info = zipfile.ZipInfo(name, _DATE)
            stored = PurePosixPath(name).suffix.lower() in _COMPRESSED
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with (folder / name).open("rb") as file, packed.open(info, "w", force_zip64=True) as member:
                while piece := file.read(_PIECE):
                    member.write(piece)
                    if written := sink.taken():
                        yield written
    yield sink.taken()
