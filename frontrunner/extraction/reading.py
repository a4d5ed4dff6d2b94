"""Forward passes: inputs in; penultimate features and the checkpoint's own predictions out. Imports torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from frontrunner.allocation import freed_memory_kept
from frontrunner.data.dataset import Key, TextInputs, WordInputs
from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.extraction.backends import Backend, EagerBackend
from frontrunner.extraction.cache import Extracted
from frontrunner.extraction.choice import choose_backend
from frontrunner.extraction.folding import lay_out_for_reading
from frontrunner.extraction.memory import PeakMemory
from frontrunner.hub import CheckpointDescription, HubAccess, ReadingCost, ReadingProvenance
from frontrunner.hub.opening.checkpoint import Batch, Checkpoint, Inputs
from frontrunner.hub.opening.open import open_checkpoint, opener_of
from frontrunner.progress import SILENT, Progress, Stage
from frontrunner.settings import get_settings

# Examples that the folded layers are compared on.
_PROBE = 2
_MB = 1e6
_log = structlog.wrap_logger(logging.getLogger("frontrunner.extraction"))


class FeatureReader:
    """Reads inputs through one opened checkpoint, on a GPU where there is one, and measures what that takes.

    The backend is chosen at the first batch; see `frontrunner.extraction.choice`.

    Args:
        checkpoint: what reads; its module is laid out for reading, and moved.
        inputs: what is read.
        memory: measures since before the checkpoint was opened.
        examples: how many examples will be read in all, as far as that is known: the first call's keys otherwise.
        access: where this machine keeps what it measures; as the environment says by default.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        inputs: Inputs,
        memory: PeakMemory | None = None,
        examples: int | None = None,
        access: HubAccess | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._inputs = inputs
        self._memory = memory or PeakMemory()
        self._examples = examples
        self._access = access
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._backend: Backend | None = None
        self._timed_seconds = 0.0
        self._timed_examples = 0

    @classmethod
    def opening(
        cls,
        description: CheckpointDescription,
        inputs: Inputs,
        access: HubAccess | None = None,
        progress: Progress = SILENT,
        examples: int | None = None,
    ) -> FeatureReader:
        """A reader of a checkpoint that is opened for it, so that its memory is counted; see the class.

        Raises:
            CheckpointError: it cannot be opened; a subclass says why.
        """
        of_texts = isinstance(inputs, (TextInputs, WordInputs))
        description = description.reading("text" if of_texts else description.modality)
        _load_libraries(description)
        memory = PeakMemory()
        return cls(open_checkpoint(description, access, progress=progress), inputs, memory, examples, access)

    def read(self, keys: Sequence[Key], progress: Progress = SILENT) -> Extracted:
        """Features of the inputs `keys`, in that order; `progress` hears of every batch.

        Raises:
            UnreadableDataset: an input cannot be decoded.
            CheckpointUnreadable: the model fails on the input, or what it says of it is not finite.
        """
        name = self._checkpoint.description.id
        features = np.empty((len(keys), self._checkpoint.feature_dimension), dtype=np.float32)
        probabilities: NDArray[np.float32] | None = None
        done = 0
        self._examples = self._examples or len(keys)
        with freed_memory_kept():
            for batch in self._checkpoint.preparation.batches(self._inputs, keys, self._device):
                read, predicted = self._forward(batch)
                features[batch.positions] = read
                if predicted is not None:
                    if probabilities is None:
                        probabilities = np.empty((len(keys), predicted.shape[1]), dtype=np.float32)
                    probabilities[batch.positions] = predicted
                done += len(batch.positions)
                progress.advance(Stage.READ, done, len(keys), of=name)
        if not np.isfinite(features).all():
            raise CheckpointUnreadable(f"{name} gives features that are NaN or infinite")
        if probabilities is not None and not np.isfinite(probabilities).all():
            raise CheckpointUnreadable(f"{name} gives predictions that are NaN or infinite")
        return Extracted(features, probabilities)

    @property
    def cost(self) -> ReadingCost | None:
        """What reading took so far; None before the second batch, since the first one pays for preparations."""
        if not self._timed_examples:
            return None
        on_gpu = self._device.type == "cuda"
        return ReadingCost(
            device=torch.cuda.get_device_name() if on_gpu else f"cpu, {torch.get_num_threads()} threads",
            latency_ms=1000 * self._timed_seconds / self._timed_examples,
            memory_mb=(torch.cuda.max_memory_allocated() if on_gpu else self._memory.growth_bytes()) / _MB,
        )

    @property
    def provenance(self) -> ReadingProvenance:
        """What to know of the features besides the checkpoint's files."""
        about = None if self._backend is None else self._backend.about
        return self._checkpoint.provenance.model_copy(update={"backend": about})

    def _forward(self, batch: Batch) -> Extracted:
        try:
            if self._backend is None:
                self._backend = self._prepared(batch.inputs)
                return self._extract(self._backend, batch.inputs)
            started = time.perf_counter()
            extracted = self._extract(self._backend, batch.inputs)
            self._timed_seconds += time.perf_counter() - started
            self._timed_examples += len(batch.positions)
        except CheckpointError:
            raise
        except Exception as error:  # whatever an architecture meets in a batch
            raise CheckpointUnreadable(f"{self._checkpoint.description.id} fails on a batch: {error}") from error
        return extracted

    def _prepared(self, inputs: Any) -> Backend:
        lay_out_for_reading(self._checkpoint, inputs[:_PROBE] if isinstance(inputs, Tensor) else inputs)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self._checkpoint.module.to(self._device)
        folder = (self._access or HubAccess.of(get_settings())).folder / "speeds"
        return choose_backend(self._checkpoint, self._device, inputs, self._examples or 0, folder)

    def _extract(self, backend: Backend, inputs: Any) -> Extracted:
        try:
            features, logits = backend.read(inputs)
        except Exception as error:
            if isinstance(backend, EagerBackend):
                raise
            _log.warning("backend_failed", checkpoint=self._checkpoint.description.id, reason=str(error))
            self._backend = EagerBackend(self._checkpoint, self._device)
            return self._extract(self._backend, inputs)
        predicted = None if logits is None else torch.softmax(logits, dim=1).numpy()
        return Extracted(features.numpy(), predicted)


def _load_libraries(description: CheckpointDescription) -> None:
    """Load what opens the checkpoint and what multiplies for it: 250 MB that would count for a process's first one."""
    opener_of(description)
    with torch.inference_mode():
        torch.nn.functional.conv2d(torch.zeros(2, 3, 32, 32), torch.zeros(8, 3, 3, 3))
        torch.nn.functional.linear(torch.zeros(2, 64), torch.zeros(64, 64))
