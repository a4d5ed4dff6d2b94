"""transformers' image processors: from an RGB image to what a model's forward pass takes. Imports torch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor  # with 200 MB of its own, which are not the first checkpoint's

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import PROCESSOR_FILE, PROCESSOR_FILES
from frontrunner.hub.opening.transformers_loading import LOCAL

PIXELS = "pixel_values"
# What processors make of an image for a language model, which is not read here.
_OF_TEXTS = ("attention_mask", "token_type_ids")
# The pixels of one image (1, C, H, W).
_FLAT = torch.empty(1, 0, 0, 0)
# Height and width of images to try a processor with.
_SIZES = ((40, 56), (40, 56), (72, 48))


class ImageProcessor:
    """A checkpoint's own processor.

    Args:
        processor: transformers' image processor.
        module: what reads what it makes; only what its forward pass takes is handed on.
        channels: of the model's input, 1 or 3; where it is 1 images are read in grey.

    Attributes:
        takes: names of what the model's forward pass takes.
    """

    def __init__(self, processor: Any, module: Any, channels: int) -> None:
        self._processor = processor
        self._mode = "L" if channels == 1 else "RGB"
        self.takes = set(inspect.signature(module.forward).parameters)

    def __call__(self, image: Image.Image) -> dict[str, Tensor]:
        """Everything that the model takes of an image, each without the dimension of the batch."""
        given = self._processor(images=self._in_mode(image), return_tensors="pt")
        made = {
            name: value
            for name, value in given.items()
            if name in self.takes and name not in _OF_TEXTS and isinstance(value, Tensor)
        }
        if any(len(value) != 1 for value in made.values()) or made.get(PIXELS, _FLAT).ndim > _FLAT.ndim:
            raise CheckpointUnreadable("its processor makes several images of one: crops, or a video")
        return {name: value[0] for name, value in made.items()}

    def pixels_of(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """(C, H, W) of each image, from one call: a call's own checks take longer than a small image."""
        made = self._processor(images=[self._in_mode(image) for image in images])[PIXELS]
        return [torch.as_tensor(pixels) for pixels in made]

    def _in_mode(self, image: Image.Image) -> Image.Image:
        return image if image.mode == self._mode else image.convert(self._mode)


class Pixels:
    """All that a model takes which reads pixels alone: see `images.Together`.

    Args:
        processor: what makes them.
    """

    def __init__(self, processor: ImageProcessor) -> None:
        self._processor = processor
        self._one_by_one = not self._is_same_together()

    def __call__(self, image: Image.Image) -> Tensor:
        """(C, H, W) of an image."""
        return self._processor(image)[PIXELS]

    def together(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """(C, H, W) of each image, the same as it has alone."""
        return [self(image) for image in images] if self._one_by_one else self._processor.pixels_of(images)

    def _is_same_together(self) -> bool:
        """Whether an image has the same pixels among others: some bring all to the largest one's size."""
        generator = np.random.default_rng(0)
        examples = [Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in _SIZES]
        alone = [self(image) for image in examples]
        try:
            return all(map(torch.equal, alone, self._processor.pixels_of(examples)))
        except Exception:  # whatever a processor makes of several images
            return False


def image_processor(checkpoint: str, folder: Path, module: Any, channels: int) -> ImageProcessor:
    """The processor of a folder: of `preprocessor_config.json`, or the part of `processor_config.json`.

    Raises:
        CheckpointUnreadable: there is none, or it makes nothing that the model takes.
    """
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        raise CheckpointUnreadable(f"{checkpoint} has no {PROCESSOR_FILE}: its preprocessing is unknown")
    if channels not in (1, 3):
        raise CheckpointUnreadable(f"{checkpoint} reads {channels} channels; images have 1 or 3")
    processor = ImageProcessor(AutoImageProcessor.from_pretrained(folder, **LOCAL), module, channels)
    made = processor(Image.new("RGB", (64, 64)))
    if not made:
        raise CheckpointUnreadable(f"{checkpoint}: its processor makes nothing that its model takes")
    return processor
