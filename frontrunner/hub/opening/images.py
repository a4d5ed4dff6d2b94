"""Images as batches of pixels, decoded ahead of the model. Imports torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from PIL import Image
from torch import Tensor

from frontrunner.data.dataset import Key
from frontrunner.errors import ModalityMismatch
from frontrunner.hub.opening.checkpoint import Batch, Images, Inputs

# Activations of 8 images stay near the caches of a CPU: batches of 32 were measured 1.3 times slower on two cores.
BATCH_ON_CPU = 8
BATCH_ON_GPU = 128
# Batches decoded ahead: enough to hide an image that decodes slowly, little enough to stay small.
_BATCHES_AHEAD = 4


class ImagePreparation:
    """Batches of pixels (b, 3, H, W), channels last, in the order asked for.

    Attributes:
        prepare: an RGB image to a (3, H, W) tensor, as the checkpoint was trained.
    """

    def __init__(self, prepare: Callable[[Image.Image], Tensor]) -> None:
        self.prepare = prepare

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Batches of pixels in the order of `keys`, decoded ahead by threads."""
        if not isinstance(inputs, Images):
            raise ModalityMismatch("the checkpoint reads images, the dataset holds none")
        size = BATCH_ON_CPU if device.type == "cpu" else BATCH_ON_GPU
        pending: deque[tuple[range, list[Future[Tensor]]]] = deque()
        starts = iter(range(0, len(keys), size))
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
            while True:
                while len(pending) < _BATCHES_AHEAD and (start := next(starts, None)) is not None:
                    positions = range(start, min(start + size, len(keys)))
                    images = [pool.submit(self._decode, inputs, keys[position]) for position in positions]
                    pending.append((positions, images))
                if not pending:
                    return
                positions, images = pending.popleft()
                pixels = torch.stack([image.result() for image in images])
                yield Batch(positions, pixels.contiguous(memory_format=torch.channels_last))

    def _decode(self, inputs: Images, key: Key) -> Tensor:
        return self.prepare(inputs.decode(key))
