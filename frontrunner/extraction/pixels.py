"""Decoded images, kept so that every image is decoded once for all checkpoints of a machine.

An image is kept twice: as it is decoded, and in the shape that a preprocessing first brings it to (resized and cut),
which checkpoints share that were trained alike. Both are 8-bit, so that what is read is what was decoded, to the bit.
A dataset's folder is named by its digest, a file by key, shape and versions. Files are written under a temporary name
and renamed: processes share the folder, and two that write one file write the same bytes. All of it may be deleted at
any time; an image is then decoded again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from frontrunner.data.dataset import Dataset, FeatureInputs, ImageInputs, Key, TextInputs
from frontrunner.data.images import DECODING_VERSION
from frontrunner.files import ARRAY_HEADERS, whole_file
from frontrunner.hub import HubAccess
from frontrunner.hub.opening.checkpoint import Shape
from frontrunner.settings import get_settings

# Larger images are kept in their shapes alone: reading 12 million pixels is no cheaper than it helps.
_LARGEST_BYTES = 4_000_000
# A dataset that nobody read for so long is dropped: pixels are for the checkpoints of a job, not for good.
_KEPT_S = 24 * 3600.0
_WHOLE = ""


class StoredImages:
    """A dataset's images, each decoded and shaped once, from a store after that.

    Args:
        inputs: the images.
        digest: the dataset's.
        root: where pixels of all datasets are kept.
        max_bytes: of all of them together. Datasets that were read the longest ago make room; where there is none
            left, images are decoded every time.
    """

    def __init__(self, inputs: ImageInputs, digest: str, root: Path, max_bytes: int) -> None:
        self._inputs = inputs
        self._folder = root / digest
        self._room = _make_room(root, self._folder, max_bytes)
        self._lock = threading.Lock()

    def decode(self, key: Key) -> Image.Image:
        """The image in RGB, at its full size; see `ImageInputs.decode`."""
        kept = self._read(key, _WHOLE)
        if kept is not None:
            return kept
        image = self._inputs.decode(key)
        if image.width * image.height * 3 <= _LARGEST_BYTES:
            self._keep(key, _WHOLE, image)
        return image

    def shaped(self, key: Key, shape: Shape) -> Image.Image:
        """The image as `shape` brings it to its size.

        Raises:
            UnreadableDataset: it cannot be decoded.
        """
        kept = self._read(key, shape.name)
        if kept is not None:
            return kept
        image = shape(self.decode(key))
        self._keep(key, shape.name, image)
        return image

    def _file(self, key: Key, shape: str) -> Path:
        parts = (DECODING_VERSION, PIL.__version__, shape, key)
        return self._folder / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:40]}.npy"

    def _read(self, key: Key, shape: str) -> Image.Image | None:
        try:
            with ARRAY_HEADERS:
                pixels: NDArray[np.uint8] = np.load(self._file(key, shape), mmap_mode="r", allow_pickle=False)
            return Image.fromarray(pixels)
        except (OSError, ValueError, EOFError, TypeError, SystemError):  # not there, not whole, or Python's own fault
            return None

    def _keep(self, key: Key, shape: str, image: Image.Image) -> None:
        pixels = np.asarray(image)
        with self._lock:
            if pixels.nbytes > self._room:
                return
            self._room -= pixels.nbytes
        try:
            with whole_file(self._file(key, shape)) as file:
                np.save(file, pixels, allow_pickle=False)
        except OSError:  # the disk is full, or the folder is not ours: images are decoded again
            self._room = 0


def stored(dataset: Dataset, access: HubAccess | None) -> ImageInputs | StoredImages | TextInputs | FeatureInputs:
    """A dataset's inputs; images with the machine's store behind them, where the settings give it room."""
    settings = get_settings()
    if not isinstance(dataset.inputs, ImageInputs) or not settings.pixels_max_bytes:
        return dataset.inputs
    root = (access or HubAccess.of(settings)).folder / "pixels"
    return StoredImages(dataset.inputs, dataset.digest, root, settings.pixels_max_bytes)


def _make_room(root: Path, own: Path, max_bytes: int) -> int:
    """Bytes that may be added, once others' folders that are too old or too much are gone."""
    try:
        own.mkdir(parents=True, exist_ok=True)
        os.utime(own)  # in use
        folders = sorted((folder.stat().st_mtime, folder) for folder in root.iterdir() if folder.is_dir())
    except OSError:
        return 0
    room = max_bytes - _bytes_in(own)
    for read_at, folder in reversed([other for other in folders if other[1] != own]):
        size = _bytes_in(folder)
        if size > room or time.time() - read_at > _KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            room -= size
    return max(room, 0)


def _bytes_in(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:  # another process makes room too
        return 0
