"""What an opened checkpoint of any library says of examples, as pretrained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frontrunner.errors import FeaturesNotFinite
from frontrunner.extraction.cache import Extracted
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.progress import SILENT, Progress, Stage
from frontrunner.tuning.examples.examples import Examples, LabelledTexts
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.networks.image_classifier import Normalise, at_size

_READ_AT_ONCE = 32


def read_plain(opened: Checkpoint, examples: Examples, progress: Progress = SILENT) -> Extracted:
    """One pass of a checkpoint over the plain views, in evaluation mode: what it says of each example, in their order.

    Args:
        opened: of any library.
        examples: what it reads.
        progress: hears how many examples are read, and may stop the work between batches.

    Raises:
        StudentUnsupported: it does not read images of that size.
        FeaturesNotFinite: what it says is not finite.
    """
    features: list[Tensor] = []
    probabilities: list[Tensor] = []
    read: list[int] = []
    with torch.inference_mode():
        for rows, inputs in _batches(opened, examples):
            output = opened.forward(inputs)
            features.append(output.features.float())
            if output.source_logits is not None:
                probabilities.append(output.source_logits.float().softmax(dim=1))
            read += rows
            progress.advance(Stage.READ, len(read), len(examples), of=opened.description.id)
            progress.safe_point()
    in_order = np.argsort(read)
    found = torch.cat(features).numpy()[in_order]
    if not np.isfinite(found).all():
        raise FeaturesNotFinite(f"{opened.description.id} gives features that are NaN or infinite")
    return Extracted(found, torch.cat(probabilities).numpy()[in_order] if probabilities else None)


def _batches(opened: Checkpoint, examples: Examples) -> Iterator[tuple[Sequence[int], Any]]:
    """Which rows, and the checkpoint's inputs of them."""
    if isinstance(examples, LabelledTexts):
        return opened.preparation.batches(examples.inputs, range(len(examples)), torch.device("cpu"))
    assert isinstance(examples, Images)  # noqa: S101 - there are these two
    at_size(opened, examples.image_size)
    normalise = Normalise.of(opened)
    pieces = torch.split(torch.arange(len(examples)), _READ_AT_ONCE)
    return ((rows.tolist(), normalise(examples.plain(rows))) for rows in pieces)
