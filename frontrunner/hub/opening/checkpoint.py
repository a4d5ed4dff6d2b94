"""`Checkpoint`: one opened model, whatever library it comes from and whatever it reads. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from frontrunner.data.dataset import FeatureInputs, ImageInputs, Key, TextInputs
from frontrunner.hub.describing.description import CheckpointDescription

Inputs: TypeAlias = ImageInputs | TextInputs | FeatureInputs


class Batch(NamedTuple):
    """Prepared inputs, and where among the asked-for keys each of them stands.

    Attributes:
        positions: (b,) indices into the asked-for keys.
        inputs: what `Checkpoint.read` takes, movable by `.to(device)`: a tensor of pixels, or a tokenizer's tensors.
    """

    positions: Sequence[int]
    inputs: Any


class Preparation(Protocol):
    """How inputs become batches: the checkpoint's own preprocessing, in the order that reads fastest."""

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Every key once, in any order.

        Raises:
            ModalityMismatch: the inputs are of a kind that the checkpoint does not read.
            UnreadableDataset: an input cannot be decoded.
        """
        ...


class ForwardOutput(NamedTuple):
    """What one forward pass says of a batch.

    Attributes:
        features: (b, D) what the checkpoint's own head sees, or would see.
        source_logits: (b, C_source) what its head answers, where it has one whose softmax is a distribution over
            classes; None for backbones, projections, regressors and multi-label heads.
    """

    features: Tensor
    source_logits: Tensor | None


@dataclass
class Checkpoint:
    """An opened checkpoint in evaluation mode, float32.

    Attributes:
        description: what was known before it was opened.
        module: the whole model; its weights are not to be changed by readers of features.
        preparation: makes batches of a dataset's inputs, as the checkpoint was trained.
        forward: one forward pass over a batch's inputs.
        feature_dimension: D.
    """

    description: CheckpointDescription
    module: nn.Module
    preparation: Preparation
    forward: Callable[[Any], ForwardOutput]
    feature_dimension: int

    @torch.inference_mode()
    def read(self, inputs: Any) -> ForwardOutput:
        """Features, and source logits where there are any, of a batch's inputs, without gradients."""
        return self.forward(inputs)
