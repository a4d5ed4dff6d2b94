"""What runs the forward passes: torch as it is, or OpenVINO. Their numbers agree within `AGREEMENT`. Imports torch.

Backends of one checkpoint share a cache key: their features differ by rounding only, which is tested before a backend
is used. OpenVINO is optional. Where it is missing, or cannot run a checkpoint, torch goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from frontrunner.hub import ReadingBackend
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput

# Largest difference between two backends' features, as a share of the largest feature, and between the probabilities
# of their predictions. Pretrained checkpoints measured stay within 4e-6; what it does to LogME is tested.
AGREEMENT = 1e-4
# Images of one forward pass in torch where nothing was measured: 16 were up to 1.6 times faster than 8 on one thread.
EAGER_ROWS = 16
# Images of up to 128 x 128 pixels: a pass of few of them is mostly the calls of its layers, and 32 were up to a fifth
# faster than 16; larger images were slower with 32.
SMALL_EAGER_ROWS, SMALL_PIXELS = 32, 128 * 128


class Backend(Protocol):
    """Forward passes of one checkpoint.

    Attributes:
        about: what it is, for the result's provenance.
    """

    about: ReadingBackend

    def read(self, inputs: Any) -> ForwardOutput:
        """Features, and source logits where there are any, of a batch's inputs, on the CPU."""
        ...


class EagerBackend:
    """The checkpoint's own module, laid out for reading.

    Args:
        checkpoint: what is read.
        device: where its module is.
        rows: images of one forward pass; None: whole batches as they come.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, rows: int | None = None) -> None:
        self.about = ReadingBackend(name="eager", version=torch.__version__, rows=rows)
        self._checkpoint = checkpoint
        self._device = device
        self._rows = rows

    def read(self, inputs: Any) -> ForwardOutput:
        """See `Backend.read`."""
        outputs = [self._pass(part) for part in self._parts(inputs)]
        logits = [output.source_logits for output in outputs if output.source_logits is not None]
        features = torch.cat([output.features for output in outputs])
        return ForwardOutput(features.float().cpu(), torch.cat(logits).float().cpu() if logits else None)

    def _parts(self, inputs: Any) -> Iterator[Any]:
        if self._rows is None or not isinstance(inputs, Tensor):
            return iter([inputs])
        return iter(torch.split(inputs, self._rows))

    def _pass(self, inputs: Any) -> ForwardOutput:
        moved = inputs.to(self._device)
        if isinstance(moved, Tensor) and moved.ndim == 4:
            moved = moved.contiguous(memory_format=torch.channels_last)
        return self._checkpoint.read(moved)


def difference(found: ForwardOutput, expected: ForwardOutput) -> float:
    """How far two backends are apart: of features as a share of the largest, of predictions in probability."""
    scale = expected.features.abs().max().clamp_min(1e-12)
    apart = float((found.features - expected.features).abs().max() / scale)
    if expected.source_logits is None or found.source_logits is None:
        return apart
    predicted = found.source_logits.softmax(dim=1) - expected.source_logits.softmax(dim=1)
    return max(apart, float(predicted.abs().max()))


def probes(inputs: Any) -> Iterator[Any]:
    """Inputs that a converted model must agree on with the original: a batch, and for texts other lengths and padding.

    A converted model is a recording of one pass. What was decided then by a text's length, or because nothing was
    padded, shows on these.
    """
    yield inputs
    if not isinstance(inputs, Mapping) or "attention_mask" not in inputs:
        return
    half = max(1, inputs["attention_mask"].shape[1] // 2)
    batch: Any = type(inputs)
    yield batch({name: value[:, :half] for name, value in inputs.items()})
    mask = inputs["attention_mask"].clone()
    mask[: max(1, len(mask) // 2), half:] = 0
    yield batch({**inputs, "attention_mask": mask})


def rows_of(inputs: Any) -> int:
    """Examples in a batch's inputs."""
    return len(inputs) if isinstance(inputs, Tensor) else len(next(iter(inputs.values())))


def first_rows(inputs: Any, rows: int) -> Any:
    """The first `rows` examples of a batch."""
    if isinstance(inputs, Tensor):
        return inputs[:rows]
    return type(inputs)({name: value[:rows] for name, value in inputs.items()})
