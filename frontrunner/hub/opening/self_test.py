"""A self-test of every checkpoint that is opened: an example's features are its own. Imports torch.

Whatever an architecture does with its input (padding that is not masked, normalisation over a batch, random weights or
random masks), two examples read alone and together, in the other order, show it before anything is ranked.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from frontrunner.data.dataset import Key, TextInputs, WordInputs
from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.hub.opening.checkpoint import Checkpoint, Inputs

# Rounding through some hundred float32 layers stays below; a padded token or a random weight does not.
TOLERANCE = 1e-4
# Of nearly the same length, so that they come into one batch and one of them is padded.
_WORDS = [
    "a",
    "small",
    "test",
    "tells",
    "whether",
    "what",
    "is",
    "read",
    "of",
    "one",
    "text",
    "depends",
    "on",
    "the",
    "other",
    "texts",
    "that",
    "are",
    "read",
    "beside",
    "it",
]
_TEXTS = (" ".join(_WORDS * 3), " ".join([*_WORDS * 2, *_WORDS[:-1]]))
_CPU = torch.device("cpu")


class _TwoImages:
    """A smooth image and a noisy one, of different sizes."""

    def decode(self, key: Key) -> Image.Image:
        """Image 0 or 1."""
        if key == 0:
            rows, columns = np.mgrid[0:80, 0:96]
            return Image.fromarray(np.stack([rows * 3, columns * 2, 255 - rows - columns], -1).astype(np.uint8))
        return Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8))


def with_self_test(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint, with the outcome of its self-test in its provenance.

    Where a batch changes an example's features, the checkpoint's preparation is set to read one example at a time.

    Raises:
        CheckpointUnreadable: it fails on the examples, its features are not finite, or reading one example again gives
            other features.
    """
    difference = self_test(checkpoint)
    if difference > TOLERANCE:
        checkpoint.preparation.one_at_a_time = True
        difference = self_test(checkpoint)
    if difference > TOLERANCE:
        raise CheckpointUnreadable(
            f"{checkpoint.description.id}: reading one example twice gives features that differ by {difference:.1%}"
        )
    provenance = checkpoint.provenance.model_copy(
        update={"self_test": difference, "one_at_a_time": checkpoint.preparation.one_at_a_time}
    )
    return dataclasses.replace(checkpoint, provenance=provenance)


def self_test(checkpoint: Checkpoint) -> float:
    """How far two examples' features are from each other when read alone and together.

    Returns:
        The largest absolute difference, divided by the largest absolute feature.

    Raises:
        CheckpointUnreadable: it fails on the examples, or its features are not finite.
    """
    name = checkpoint.description.id
    inputs, keys = _examples(checkpoint)
    try:
        alone = np.concatenate([_read(checkpoint, inputs, [key]) for key in keys])
        together = _read(checkpoint, inputs, keys[::-1])[::-1]
    except CheckpointError:
        raise
    except Exception as error:  # whatever an architecture meets in an input
        raise CheckpointUnreadable(f"{name} fails on a test example: {type(error).__name__}: {error}") from error
    if not (np.isfinite(alone).all() and np.isfinite(together).all()):
        raise CheckpointUnreadable(f"{name} gives features that are NaN or infinite")
    return float(np.abs(alone - together).max() / max(float(np.abs(alone).max()), 1e-12))


def _examples(checkpoint: Checkpoint) -> tuple[Inputs, list[Key]]:
    """Two examples of what the checkpoint reads."""
    if checkpoint.description.modality == "image":
        return _TwoImages(), [0, 1]
    pooling = checkpoint.description.text_pooling
    if pooling is not None and pooling.words is not None:
        words = WordInputs.of([text.split() for text in _TEXTS])
        return words, [0, int(words.starts[1])]
    return TextInputs(_TEXTS), [0, 1]


def _read(checkpoint: Checkpoint, inputs: Inputs, keys: Sequence[Key]) -> NDArray[np.float32]:
    """(n, D) features of the inputs `keys`, in their order."""
    features = np.empty((len(keys), checkpoint.feature_dimension), dtype=np.float32)
    preparation = copy.copy(checkpoint.preparation)  # what it counts is not to count these
    for batch in preparation.batches(inputs, keys, _CPU):
        features[batch.positions] = checkpoint.read(batch.inputs).features.float().numpy()
    return features
