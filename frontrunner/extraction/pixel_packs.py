"""Pixels of many images in few files: making a file for every image costs more than decoding a small one.

A pack has one writer, who only ever adds records to it. A record is a header and the pixels; the header says whose they
are and holds a checksum of everything. What is not whole, because it is being written or its writer died, is not there.
Every process reads the packs of all.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import uuid
import weakref
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

_SUFFIX = ".pack"
# Mark, name, shape (H, W, C; C is 0 for images of two dimensions), checksum of all others and the pixels.
_HEADER = struct.Struct("<8s20s3IQ")
_MARK = b"FRpixel1"
NAME_BYTES = 20
# What others have added is looked for at most this often.
_LOOK_AGAIN_S = 1.0


class _Place(NamedTuple):
    file: io.FileIO
    start: int
    header: bytes
    shape: tuple[int, ...]
    length: int


class PixelPacks:
    """The packs of one folder, and one of its own once something is kept; safe among threads.

    Args:
        folder: which is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[bytes, _Place] = {}
        self._read_up_to: dict[str, int] = {}
        self._files: dict[str, io.FileIO] = {}
        self._own: io.FileIO | None = None
        self._own_end = 0
        self._looked_at = -_LOOK_AGAIN_S
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._files)

    def read(self, name: bytes) -> NDArray[np.uint8] | None:
        """The pixels under a name; None where there are none, or they are damaged."""
        place = self._places.get(name) or self._found(name)
        if place is None:
            return None
        data = os.pread(place.file.fileno(), place.length, place.start)
        if len(data) != place.length or _header(name, place.shape, data) != place.header:
            return None
        return np.frombuffer(data, dtype=np.uint8).reshape(place.shape)

    def keep(self, name: bytes, pixels: NDArray[np.uint8]) -> None:
        """Keep the pixels of an image, (H, W) or (H, W, C), under a name of `NAME_BYTES`.

        Raises:
            OSError: the disk is full, or the folder is not ours.
        """
        data = np.ascontiguousarray(pixels).reshape(-1).data
        header = _header(name, pixels.shape, data)
        with self._lock:
            if self._own is None:
                pack = f"{uuid.uuid4().hex}{_SUFFIX}"
                self._own = self._files[pack] = (self._folder / pack).open("xb+", buffering=0)
                self._read_up_to[pack] = 2**63  # it is known what is in it
            start = self._own_end
            if os.writev(self._own.fileno(), [header, data]) != len(header) + len(data):
                os.ftruncate(self._own.fileno(), start)
                self._own.seek(start)
                raise OSError("the disk is full")
            self._own_end += len(header) + len(data)
            self._places[name] = _Place(self._own, start + len(header), header, pixels.shape, len(data))

    def _found(self, name: bytes) -> _Place | None:
        with self._lock:
            if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
                self._look()
                self._looked_at = time.monotonic()
            return self._places.get(name)

    def _look(self) -> None:
        """Note the records that were added since the last look."""
        try:
            packs = [(entry.name, entry.stat().st_size) for entry in os.scandir(self._folder) if _is_pack(entry)]
            for pack, size in packs:
                if size > self._read_up_to.get(pack, 0):
                    self._note(pack, size)
        except OSError:  # somebody makes room
            return

    def _note(self, pack: str, size: int) -> None:
        if pack not in self._files:
            self._files[pack] = (self._folder / pack).open("rb", buffering=0)
        file, start = self._files[pack], self._read_up_to.get(pack, 0)
        while start + _HEADER.size <= size:
            header = os.pread(file.fileno(), _HEADER.size, start)
            if len(header) != _HEADER.size:
                break
            mark, name, height, width, channels, _ = _HEADER.unpack(header)
            length = height * width * (channels or 1)
            if mark != _MARK or start + _HEADER.size + length > size:
                break
            shape = (height, width, channels) if channels else (height, width)
            self._places[name] = _Place(file, start + _HEADER.size, header, shape, length)
            start += _HEADER.size + length
        self._read_up_to[pack] = start


def _header(name: bytes, shape: tuple[int, ...], data: bytes | memoryview) -> bytes:
    height, width, channels = (*shape, 0)[:3]
    checksum = xxhash.xxh3_64(_HEADER.pack(_MARK, name, height, width, channels, 0))
    checksum.update(data)
    return _HEADER.pack(_MARK, name, height, width, channels, checksum.intdigest())


def _is_pack(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(_SUFFIX)


def _close(files: dict[str, io.FileIO]) -> None:
    for file in files.values():
        file.close()
