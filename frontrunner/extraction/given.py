"""What a checkpoint makes of images or texts that somebody hands over, outside of any dataset. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frontrunner.data.dataset import Key, TextInputs
from frontrunner.data.images import decode_image, to_rgb
from frontrunner.errors import ModalityMismatch, NoClassifier, UnreadableDataset
from frontrunner.extraction.cache import Extracted
from frontrunner.extraction.folding import restored
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub.opening.checkpoint import Checkpoint, GivenImage, GivenInputs
from frontrunner.progress import Progress

_EXPECTED = {
    "image": "images: PIL images, paths, or uint8 arrays (H, W, 3)",
    "text": "texts: strings, or pairs of strings",
}


def features_of(checkpoint: Checkpoint, given: GivenInputs, progress: Progress) -> NDArray[np.float32]:
    """(n, D) features, as `FeatureReader` gives them; the checkpoint is left as it was. See `Checkpoint.features`."""
    if not len(given):
        return np.empty((0, checkpoint.feature_dimension), dtype=np.float32)
    return _read(checkpoint, given, progress).features


def probabilities_of(checkpoint: Checkpoint, given: GivenInputs, progress: Progress) -> NDArray[np.float32]:
    """(n, C) answers of its own head; the checkpoint is left as it was. See `Checkpoint.probabilities`."""
    if not len(given):
        return np.empty((0, len(checkpoint.classes)), dtype=np.float32)
    probabilities = _read(checkpoint, given, progress).source_probabilities
    if probabilities is None:
        raise NoClassifier(f"{checkpoint.description.id} has no head that tells classes apart")
    return probabilities


def _read(checkpoint: Checkpoint, given: GivenInputs, progress: Progress) -> Extracted:
    inputs = _images(checkpoint, given) if checkpoint.description.modality == "image" else _texts(checkpoint, given)
    with restored(checkpoint.module):
        return FeatureReader(checkpoint, inputs).read(range(len(given)), progress)


@dataclass(frozen=True)
class _Images:
    """Images by their place."""

    given: Sequence[GivenImage]

    def decode(self, key: Key) -> Image.Image:
        """The image in RGB; see `ImageInputs.decode`."""
        image = self.given[int(key)]
        if isinstance(image, Image.Image):
            return _in_rgb(image)
        if isinstance(image, np.ndarray):
            return Image.fromarray(image)
        try:
            data = Path(image).read_bytes()
        except OSError as error:
            raise UnreadableDataset(f"the image {image} cannot be read: {error.strerror or error}") from error
        return decode_image(data, str(image))


def _in_rgb(image: Image.Image) -> Image.Image:
    try:
        return to_rgb(image)
    except Exception as error:  # it is decoded here, and Pillow's decoders raise whatever they meet
        raise UnreadableDataset(f"an image cannot be decoded: {error}") from error


def _images(checkpoint: Checkpoint, given: GivenInputs) -> _Images:
    if isinstance(given, str) or not isinstance(given, (Sequence, np.ndarray)):
        raise _mismatch(checkpoint, given)
    images: list[GivenImage] = []
    for image in given:
        if not _is_image(image):
            raise _mismatch(checkpoint, image)
        images.append(image)
    return _Images(images)


def _is_image(value: object) -> TypeGuard[GivenImage]:
    if isinstance(value, np.ndarray):
        return value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3
    return isinstance(value, (Image.Image, str, Path))


def _texts(checkpoint: Checkpoint, given: GivenInputs) -> TextInputs:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise _mismatch(checkpoint, given)
    rows: list[tuple[str, ...]] = []
    for text in given:
        row = (text,) if isinstance(text, str) else text
        if not isinstance(row, tuple) or not all(isinstance(part, str) for part in row):
            raise _mismatch(checkpoint, text)
        rows.append(row)
    lengths = {len(row) for row in rows} or {1}
    if lengths not in ({1}, {2}):
        raise _mismatch(checkpoint, given, f"tuples of {' and '.join(map(str, sorted(lengths)))} texts")
    firsts = tuple(row[0] for row in rows)
    return TextInputs(firsts, tuple(row[1] for row in rows) if lengths == {2} else None)


def _mismatch(checkpoint: Checkpoint, given: object, kind: str = "") -> ModalityMismatch:
    if isinstance(given, np.ndarray):
        kind = f"an array {given.shape} of {given.dtype}"
    description = checkpoint.description
    return ModalityMismatch(
        f"{description.id} reads a sequence of {_EXPECTED[description.modality]}; given: {kind or type(given).__name__}"
    )
