"""Images as batches of pixels, decoded ahead of the model. Imports torch."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from frontrunner.data.dataset import Key
from frontrunner.errors import ModalityMismatch
from frontrunner.hub.opening.checkpoint import Batch, Images, Inputs, Shape, ShapedImages

# What reads them divides a batch as it is fastest; see `frontrunner.extraction.choice`.
BATCH_ON_CPU = 32
BATCH_ON_GPU = 128
# Batches decoded ahead: enough to hide an image that decodes slowly, little enough to stay small.
_BATCHES_AHEAD = 3
_MOST_THREADS = 8
# Of a batch, for each thread that decodes: few, and yet so many that none waits long for another one.
_PIECES = 4

Prepared = TypeVar("Prepared")
Shaped = TypeVar("Shaped", Tensor, NDArray[np.uint8])


@runtime_checkable
class InTwoSteps(Protocol):
    """A preprocessing that first brings an image to its size, and then only changes its numbers.

    Attributes:
        shape: the first step.
    """

    shape: Shape

    def values(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The second step: (b, C, H, W), the tensor of shaped images (b, H, W, C), or (b, H, W) in grey."""
        ...


@runtime_checkable
class Together(Protocol):
    """A preprocessing that takes less time for several images in one call."""

    def together(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """(C, H, W) of each image, the same as it has alone."""
        ...


class ImagePreparation:
    """Batches of pixels (b, C, H, W).

    Attributes:
        prepare: an RGB image to a (C, H, W) tensor, as the checkpoint was trained.
        one_at_a_time: every batch holds one image.
    """

    def __init__(self, prepare: Callable[[Image.Image], Tensor]) -> None:
        self.prepare = prepare
        self.one_at_a_time = False

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Batches of pixels, decoded ahead by threads, in the order of `keys` where all are prepared to one size.

        Some checkpoints keep an image's proportions: images of one size then come together.
        """
        prepare, size = self.prepare, _batch_size(device, self.one_at_a_time)
        if isinstance(prepare, InTwoSteps):
            found = _decoded(inputs, keys, size, functools.partial(_shaped, prepare.shape))
            yield from _batches(found, lambda images: prepare.values(np.stack(images)))
        else:
            several = prepare.together if isinstance(prepare, Together) else functools.partial(_one_by_one, prepare)
            yield from _batches(_decoded(inputs, keys, size, functools.partial(_prepared, several)), torch.stack)


class EncodedImagePreparation:
    """Batches of what models take that read more of an image than its pixels, or something else.

    Patches with a mask and with the image's shape in patches, or colours as tokens.

    Attributes:
        prepare: an RGB image to tensors by name, as the checkpoint was trained.
        one_at_a_time: every batch holds one image.
    """

    def __init__(self, prepare: Callable[[Image.Image], dict[str, Tensor]]) -> None:
        self.prepare = prepare
        self.one_at_a_time = False

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Batches of tensors by name, of images that are prepared to one size."""
        from transformers import BatchFeature  # checkpoints in timm's form are read without transformers

        size = _batch_size(device, self.one_at_a_time)
        several = functools.partial(_one_by_one, self.prepare)
        for positions, images in _decoded(inputs, keys, size, functools.partial(_prepared, several)):
            for places in _alike([tuple(value.shape for value in image.values()) for image in images]):
                together = {name: torch.stack([images[place][name] for place in places]) for name in images[0]}
                yield Batch([positions[place] for place in places], BatchFeature(together))


def _batches(
    found: Iterator[tuple[range, list[Shaped]]], together: Callable[[list[Shaped]], Tensor]
) -> Iterator[Batch]:
    """Batches of the images that are of one size."""
    for positions, images in found:
        for places in _alike([image.shape for image in images]):
            yield Batch([positions[at] for at in places], together([images[at] for at in places]))


def _batch_size(device: torch.device, one_at_a_time: bool) -> int:
    if one_at_a_time:
        return 1
    return BATCH_ON_CPU if device.type == "cpu" else BATCH_ON_GPU


def _decoded(
    inputs: Inputs, keys: Sequence[Key], size: int, prepared: Callable[[Images, Sequence[Key]], list[Prepared]]
) -> Iterator[tuple[range, list[Prepared]]]:
    """Positions in `keys` and the prepared images there, `size` at a time, in order, decoded ahead by threads."""
    if not isinstance(inputs, Images):
        raise ModalityMismatch("the checkpoint reads images, the dataset holds none")
    images: Images = inputs
    pending: deque[tuple[range, list[Future[list[Prepared]]]]] = deque()
    starts = iter(range(0, len(keys), size))
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    # Handing over one image at a time cost a tenth of what small ones take.
    together = max(1, size // (_PIECES * threads))

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode") as pool:
        while True:
            while len(pending) < _BATCHES_AHEAD and (start := next(starts, None)) is not None:
                positions = range(start, min(start + size, len(keys)))
                pieces = (keys[at : min(at + together, positions.stop)] for at in positions[::together])
                pending.append((positions, [pool.submit(prepared, images, piece) for piece in pieces]))
            if not pending:
                return
            positions, futures = pending.popleft()
            yield positions, [image for future in futures for image in future.result()]


def _prepared(
    several: Callable[[Sequence[Image.Image]], list[Prepared]], images: Images, keys: Sequence[Key]
) -> list[Prepared]:
    return several([images.decode(key) for key in keys])


def _one_by_one(prepare: Callable[[Image.Image], Prepared], images: Sequence[Image.Image]) -> list[Prepared]:
    return [prepare(image) for image in images]


def _shaped(shape: Shape, images: Images, keys: Sequence[Key]) -> list[NDArray[np.uint8]]:
    if isinstance(images, ShapedImages):
        return [images.shaped(key, shape) for key in keys]
    return [np.asarray(shape(images.decode(key))) for key in keys]


def _alike(shapes: Sequence[Any]) -> list[list[int]]:
    """Places of equal shapes, each group in order."""
    groups: dict[Any, list[int]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(place)
    return list(groups.values())
