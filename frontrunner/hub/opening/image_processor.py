"""transformers' image processors: from an RGB image to what a model's forward pass takes. Imports torch."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import PROCESSOR_FILE, PROCESSOR_FILES
from frontrunner.hub.opening.transformers_loading import LOCAL

PIXELS = "pixel_values"
# What processors make of an image for a language model, which is not read here.
_OF_TEXTS = ("attention_mask", "token_type_ids")
# The pixels of one image (1, C, H, W).
_FLAT = torch.empty(1, 0, 0, 0)


class ImageProcessor:
    """A checkpoint's own processor, called with one image at a time.

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
        given = self._processor(
            images=image if image.mode == self._mode else image.convert(self._mode), return_tensors="pt"
        )
        made = {
            name: value
            for name, value in given.items()
            if name in self.takes and name not in _OF_TEXTS and isinstance(value, Tensor)
        }
        if any(len(value) != 1 for value in made.values()) or made.get(PIXELS, _FLAT).ndim > _FLAT.ndim:
            raise CheckpointUnreadable("its processor makes several images of one: crops, or a video")
        return {name: value[0] for name, value in made.items()}

    def pixels(self, image: Image.Image) -> Tensor:
        """(C, H, W): all that a model takes which reads pixels alone."""
        return self(image)[PIXELS]


def image_processor(checkpoint: str, folder: Path, module: Any, channels: int) -> ImageProcessor:
    """The processor of a folder: of `preprocessor_config.json`, or the part of `processor_config.json`.

    Raises:
        CheckpointUnreadable: there is none, or it makes nothing that the model takes.
    """
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        raise CheckpointUnreadable(f"{checkpoint} has no {PROCESSOR_FILE}: its preprocessing is unknown")
    if channels not in (1, 3):
        raise CheckpointUnreadable(f"{checkpoint} reads {channels} channels; images have 1 or 3")
    processor = ImageProcessor(transformers.AutoImageProcessor.from_pretrained(folder, **LOCAL), module, channels)
    made = processor(Image.new("RGB", (64, 64)))
    if not made:
        raise CheckpointUnreadable(f"{checkpoint}: its processor makes nothing that its model takes")
    return processor
