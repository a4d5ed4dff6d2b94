"""Decoded images, kept so that every image is decoded once for all checkpoints of a machine.

An image is kept twice: as it is decoded, and in the shape that a preprocessing first brings it to (resized and cut),
which checkpoints share that were trained alike. Both are 8-bit, so that what is read is what was decoded, to the bit.
A dataset's folder is named by its digest; in it images lie in packs, named by key, shape and versions. Processes share
the folder. All of it may be deleted at any time; an image is then decoded again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from frontrunner.data.dataset import Dataset, FeatureInputs, ImageInputs, Key, TextInputs, WordInputs
from frontrunner.data.images import DECODING_VERSION
from frontrunner.extraction.pixel_packs import NAME_BYTES, PixelPacks
from frontrunner.extraction.pixel_room import take_room
from frontrunner.hub import HubAccess
from frontrunner.hub.opening.checkpoint import Shape
from frontrunner.outside import outside
from frontrunner.settings import get_settings

# Larger images are kept in their shapes alone: reading 12 million pixels is no cheaper than it helps.
_LARGEST_BYTES = 4_000_000
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
        self._more = _room_for(digest, root, max_bytes)
        self._room = self._more(0)
        self._is_full = not self._room
        self._lock = threading.Lock()
        self._packs = PixelPacks(root / digest)

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
            if self._room < pixels.nbytes and not self._is_full:
                self._room = self._more(pixels.nbytes)
                self._is_full = not self._room
            if self._room < pixels.nbytes:
                return
            self._room -= pixels.nbytes
        try:
            self._packs.keep(name, pixels)
        except OSError:  # the disk is full, or the folder is not ours: images are decoded again
            self._room, self._is_full = 0, True


def _room_for(digest: str, root: Path, max_bytes: int) -> Callable[[int], int]:
    """What gives room, as `take_room` does: itself, or who is asked to."""
    other = outside()
    if other is not None:
        return lambda wanted: other.pixel_room(digest, wanted)
    return lambda wanted: take_room(root, digest, max_bytes, wanted)


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
