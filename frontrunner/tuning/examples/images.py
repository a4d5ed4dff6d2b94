"""A dataset's images, decoded once at the training size, and the views that training and teachers see of them.

Images are kept as uint8 squares a little larger than the view (the view is 0.875 of a side, as in evaluation), in a
memory-mapped file: what is not in use costs no memory, and a tuning that starts again decodes nothing again.
"""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from frontrunner.data import ImageInputs, Split
from frontrunner.progress import SILENT, Progress, Stage
from frontrunner.tuning.examples.splits import class_codes

VIEW_SHARE = 0.875
# Crops are at most this much wider than high, or higher than wide.
_LONGEST_RATIO = 4 / 3
# Images decoded between two reports of progress.
_DECODED_AT_ONCE = 64


@dataclass(frozen=True)
class Images:
    """Decoded images with their classes.

    Attributes:
        pixels: (n, 3, R, R) uint8, usually memory-mapped.
        labels: (n,) class codes.
        image_size: S, the side of a view.
    """

    pixels: NDArray[np.uint8]
    labels: Tensor
    image_size: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Images:
        """The images at `rows`, in that order."""
        return Images(self.pixels[rows], self.labels[torch.from_numpy(rows)], self.image_size)

    def plain(self, rows: Tensor) -> Tensor:
        """(b, 3, S, S) in [0, 1]: the middle of each image, as in evaluation."""
        margin = (self.pixels.shape[-1] - self.image_size) // 2
        end = margin + self.image_size
        return torch.from_numpy(self.pixels[rows.numpy()][:, :, margin:end, margin:end]).float().div_(255)

    def augmented(self, rows: Tensor, generator: torch.Generator, *, smallest_crop: float, flip: bool) -> Tensor:
        """(b, 3, S, S) in [0, 1]: a random crop of each image, mirrored half of the time if `flip`."""
        b = len(rows)
        whole = torch.from_numpy(self.pixels[rows.numpy()]).float().div_(255)
        area, ratio, across, down, mirror = torch.rand(5, b, generator=generator)
        area = smallest_crop + (1 - smallest_crop) * area
        stretch = (_LONGEST_RATIO ** (2 * ratio - 1)) ** 0.5 if smallest_crop < 1 else torch.ones(b)
        width, height = (area.sqrt() * stretch).clamp(max=1), (area.sqrt() / stretch).clamp(max=1)
        theta = torch.zeros(b, 2, 3)
        theta[:, 0, 0] = torch.where(mirror < 0.5, -width, width) if flip else width
        theta[:, 1, 1] = height
        theta[:, 0, 2] = (2 * across - 1) * (1 - width)
        theta[:, 1, 2] = (2 * down - 1) * (1 - height)
        grid = nn.functional.affine_grid(theta, [b, 3, self.image_size, self.image_size], align_corners=False)
        return nn.functional.grid_sample(whole, grid, padding_mode="reflection", align_corners=False)


def decode_images(
    inputs: ImageInputs, split: Split, image_size: int, path: Path, progress: Progress = SILENT, *, of: str = ""
) -> Images:
    """The split's images, from `path` where an earlier call left them, else decoded and written there.

    Args:
        inputs: the dataset's inputs.
        split: which images, with their classes.
        image_size: side of a view, pixels.
        path: an npy file.
        progress: hears how many are decoded, and may stop the work; then no file is left.
        of: what progress calls these images.

    Raises:
        UnreadableDataset: an image cannot be decoded.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            _decode(inputs, split, round(image_size / VIEW_SHARE), partial, progress, of)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    labels = torch.from_numpy(np.ascontiguousarray(class_codes(split)))
    return Images(np.load(path, mmap_mode="r", allow_pickle=False), labels, image_size)


def _decode(inputs: ImageInputs, split: Split, side: int, path: Path, progress: Progress, of: str) -> None:
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(split), 3, side, side))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        for start in range(0, len(split), _DECODED_AT_ONCE):
            keys = split.keys[start : start + _DECODED_AT_ONCE]
            squares = pool.map(lambda key: _square(inputs.decode(key), side), keys)
            kept[start : start + len(keys)] = np.stack(list(squares))
            progress.advance(Stage.DECODE, start + len(keys), len(split), of=of)
            progress.safe_point()
    kept.flush()


def _square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """(3, side, side): the shorter side resized to `side`, the middle of the longer one."""
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + side, top + side)), dtype=np.uint8).transpose(2, 0, 1)
