"""Forward passes: images in, penultimate features out, decoded ahead of the model. Imports torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frontrunner.data import ImageInputs
from frontrunner.data.dataset import Key
from frontrunner.errors import CheckpointUnreadable
from frontrunner.extraction.folding import lay_out_for_reading
from frontrunner.hub.checkpoint import Checkpoint

# Activations of 8 images stay near the caches of a CPU: batches of 32 were measured 1.3 times slower on two cores.
BATCH_ON_CPU = 8
BATCH_ON_GPU = 128
# Batches decoded ahead: enough to hide an image that decodes slowly, little enough to stay small.
_BATCHES_AHEAD = 4
# Examples that the folded layers are compared on.
_PROBE = 2


class FeatureReader:
    """Reads features of images through one opened checkpoint, on a GPU where there is one."""

    def __init__(self, checkpoint: Checkpoint, inputs: ImageInputs) -> None:
        self._checkpoint = checkpoint
        self._inputs = inputs
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._prepared = False

    def read(self, keys: Sequence[Key], on_batch: Callable[[int], None] = lambda examples: None) -> NDArray[np.float32]:
        """(n, D) features of the images `keys`, in that order; `on_batch` hears how many examples each batch held.

        Raises:
            UnreadableDataset: an image cannot be decoded.
            CheckpointUnreadable: the model fails on the input, or its features are not finite.
        """
        features = np.empty((len(keys), self._checkpoint.feature_dimension), dtype=np.float32)
        done = 0
        for batch in self._batches(keys):
            features[done : done + len(batch)] = self._forward(batch)
            done += len(batch)
            on_batch(len(batch))
        if not np.isfinite(features).all():
            raise CheckpointUnreadable(f"{self._checkpoint.description.id} gives features that are NaN or infinite")
        return features

    def _batches(self, keys: Sequence[Key]) -> Iterator[Tensor]:
        size = BATCH_ON_CPU if self._device.type == "cpu" else BATCH_ON_GPU
        pending: deque[list[Future[Tensor]]] = deque()
        starts = iter(range(0, len(keys), size))
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
            while True:
                while len(pending) < _BATCHES_AHEAD and (start := next(starts, None)) is not None:
                    pending.append([pool.submit(self._prepare, key) for key in keys[start : start + size]])
                if not pending:
                    return
                yield torch.stack([image.result() for image in pending.popleft()])

    def _prepare(self, key: Key) -> Tensor:
        return self._checkpoint.preprocess(self._inputs.decode(key))

    def _forward(self, batch: Tensor) -> NDArray[np.float32]:
        try:
            if not self._prepared:
                lay_out_for_reading(self._checkpoint, batch[:_PROBE])
                self._checkpoint.module.to(self._device)
                self._prepared = True
            batch = batch.to(self._device, memory_format=torch.channels_last, non_blocking=True)
            features: NDArray[np.float32] = self._checkpoint.features(batch).float().cpu().numpy()
        except (RuntimeError, TypeError, ValueError) as error:
            raise CheckpointUnreadable(
                f"{self._checkpoint.description.id} fails on a batch of shape {tuple(batch.shape)}: {error}"
            ) from error
        return features
