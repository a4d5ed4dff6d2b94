"""What is uploaded: a file, or a folder that is zipped while it is sent and never lies whole in memory or on disk."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from frontrunner.data.files import FolderFiles
from frontrunner.errors import DatasetNotFound, EmptyDataset, FrontrunnerError

_PIECE = 1 << 18
# Compressed already: deflating them again costs time and gains nothing.
_COMPRESSED = frozenset(
    {".avif", ".gif", ".heic", ".jpeg", ".jpg", ".npz", ".parquet", ".png", ".webp", ".xlsx", ".zip"}
)
# The same folder makes the same bytes, which the service stores once.
_DATE = (1980, 1, 1, 0, 0, 0)


class UploadInterrupted(FrontrunnerError):
    """An upload cannot be carried on: what is there is not what was there when it began."""

    code = "upload_interrupted"


class Upload:
    """What lies at a path, looked at once: what it is called, how much it is, and the files of a folder.

    Args:
        path: a file or a folder.

    Attributes:
        name: what the service hears; a folder is sent as a zip.
        bytes: of the file, or of the folder's files together.
        fingerprint: names the data as they are now: names, sizes and times of files, and no byte of them.

    Raises:
        DatasetNotFound: nothing is there.
        EmptyDataset: a folder without a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = FolderFiles(path).names() if path.is_dir() else None
        if self._names is None and not path.exists():
            raise DatasetNotFound(f"there is no file or folder {path}")
        if self._names == []:
            raise EmptyDataset(f"the folder {path} holds no files")
        self.name = path.name if self._names is None else f"{path.resolve().name}.zip"
        self.bytes = 0
        digest = hashlib.sha256(f"{path.resolve()}\0".encode())
        for name in [""] if self._names is None else self._names:
            found = (path / name).stat()
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
            self.bytes += found.st_size
        self.fingerprint = digest.hexdigest()

    def open(self) -> OpenedFile | ZippedFolder:
        """The bytes, from the beginning; whoever asks closes them."""
        return OpenedFile(self._path) if self._names is None else ZippedFolder(self._path, self._names)


class OpenedFile(io.FileIO):
    """A file's bytes as they are."""

    @property
    def taken(self) -> int:
        """How many of `Upload.bytes` were read."""
        return self.tell()


class PartStream:
    """The bytes of an upload in parts, from wherever it is to be carried on: forwards only, and hashed whole.

    Args:
        file: the bytes, from their beginning.
        part_bytes: the largest part.

    Attributes:
        offset: where the next part begins.
    """

    def __init__(self, file: io.BufferedIOBase | io.RawIOBase, part_bytes: int) -> None:
        self._file = file
        self._part_bytes = part_bytes
        self._sha256 = hashlib.sha256()
        self._held = b""  # what was read and not skipped, from `offset` on
        self.offset = 0

    def skip_to(self, offset: int) -> None:
        """Go on at `offset`.

        Raises:
            UploadInterrupted: it lies before what is held, or behind the end.
        """
        if offset < self.offset:
            raise UploadInterrupted(f"the service lacks bytes from {offset:,} on that it had; begin anew")
        while offset > self.offset:
            if not self._held and not self._read(min(offset - self.offset, self._part_bytes)):
                raise UploadInterrupted(f"the service has {offset:,} bytes of data that now end at {self.offset:,}")
            skipped = min(len(self._held), offset - self.offset)
            self._held = self._held[skipped:]
            self.offset += skipped

    def part(self) -> bytes:
        """The part at `offset`, the same until it is skipped; empty at the end."""
        while len(self._held) < self._part_bytes and self._read(self._part_bytes - len(self._held)):
            pass
        return self._held

    @property
    def sha256(self) -> str:
        """Of everything that was read."""
        return self._sha256.hexdigest()

    def _read(self, size: int) -> bool:
        read = self._file.read(size) or b""
        self._sha256.update(read)
        self._held += read
        return bool(read)


class ZippedFolder(io.RawIOBase):
    """A folder's files as the bytes of a zip, made as they are read.

    Attributes:
        taken: how many of `Upload.bytes` went into what was read.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__()
        self._folder = folder
        self._pieces = self._zipped(names)
        self._left = b""
        self.taken = 0

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

    def _zipped(self, names: list[str]) -> Iterator[bytes]:
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as packed:
            for name in names:
                info = zipfile.ZipInfo(name, _DATE)
                stored = PurePosixPath(name).suffix.lower() in _COMPRESSED
                info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
                with (self._folder / name).open("rb") as file, packed.open(info, "w", force_zip64=True) as member:
                    while piece := file.read(_PIECE):
                        member.write(piece)
                        self.taken += len(piece)
                        if written := sink.taken():
                            yield written
        yield sink.taken()


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
