"""Decoded images, kept so that every image is decoded once for all checkpoints of a machine.

An image is kept twice: as it is decoded, and in the shape that a preprocessing first brings it to (resized and cut),
which checkpoints share that were trained alike. Both are 8-bit, so that what is read is what was decoded, to the bit.
A dataset's folder is named by its digest; in it images lie in packs, named by key, shape and versions. Processes share
the folder. All of it may be deleted at any time; an image is then decoded again.
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

from frontrunner.data.dataset import Dataset, FeatureInputs, ImageInputs, Key, TextInputs, WordInputs
from frontrunner.data.images import DECODING_VERSION
from frontrunner.extraction.pixel_packs import NAME_BYTES, PixelPacks
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
        folder = root / digest
        self._room = _make_room(root, folder, max_bytes)
        self._lock = threading.Lock()
        self._packs = PixelPacks(folder)

    def decode(self, key: Key) -> Image.Image:
        """The image in RGB, at its full size; see `ImageInputs.decode`."""
        name = _name(key, _WHOLE)
        kept = self._packs.read(name)
        if kept is not None:
            return Image.fromarray(kept)
        image = self._inputs.decode(key)
        if image.width * image.height * 3 <= _LARGEST_BYTES:
            self._keep(name, np.asarray(image))
        return image

    def shaped(self, key: Key, shape: Shape) -> NDArray[np.uint8]:
        """(H, W, 3), or (H, W) in grey: the image as `shape` brings it to its size.

        Raises:
            UnreadableDataset: it cannot be decoded.
        """
        name = _name(key, shape.name)
        kept = self._packs.read(name)
        if kept is not None:
            return kept
        pixels = np.asarray(shape(self.decode(key)))
        self._keep(name, pixels)
        return pixels

    def _keep(self, name: bytes, pixels: NDArray[np.uint8]) -> None:
        with self._lock:
            if pixels.nbytes > self._room:
                return
            self._room -= pixels.nbytes
        try:
            self._packs.keep(name, pixels)
        except OSError:  # the disk is full, or the folder is not ours: images are decoded again
            self._room = 0


def _name(key: Key, shape: str) -> bytes:
    parts = (DECODING_VERSION, PIL.__version__, shape, key)
    return hashlib.sha256(repr(parts).encode()).digest()[:NAME_BYTES]


def stored(
    dataset: Dataset, access: HubAccess | None
) -> ImageInputs | StoredImages | TextInputs | WordInputs | FeatureInputs:
    """A dataset's inputs; images with the machine's store behind them, where the settings give it room."""
    settings = get_settings()
    if not isinstance(dataset.inputs, ImageInputs) or not settings.pixels_max_bytes:
        return dataset.inputs
    root = (access or HubAccess.of(settings)).pixels
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
