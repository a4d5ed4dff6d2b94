"""`ImageClassifier`: what checkpoints of images with a new head share; they see pixels as they were trained to.

All networks of a tuning take pixels in [0, 1] and normalise them by themselves, so checkpoints that were trained with
different means and deviations can look at one batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from frontrunner.errors import StudentUnsupported
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.tuning.examples.examples import Views
from frontrunner.tuning.networks.classifier import Classifier


class Normalise(nn.Module):
    """Pixels in [0, 1] as a checkpoint was trained to see them: (x - mean) / deviation, a channel each."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", deviation.reshape(1, -1, 1, 1), persistent=False)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Normalise:
        """As the checkpoint's own preparation does it, whatever library it comes from: asked with black and white."""
        preparation = checkpoint.preparation
        if not isinstance(preparation, ImagePreparation):
            raise StudentUnsupported(f"{checkpoint.description.id} does not read images")
        black, white = (
            preparation.prepare(Image.fromarray(np.full((64, 64, 3), level, dtype=np.uint8))).mean(dim=(1, 2))
            for level in (0, 255)
        )
        deviation = 1 / (white - black)
        return cls(-black * deviation, deviation)

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, 3, H, W) to the same shape."""
        return (pixels - self.mean) / self.deviation


class ImageClassifier(Classifier, ABC):
    """A network of images; (b, 3, S, S) in [0, 1] to logits (b, C). Each library has a form of its own.

    Held normalisation layers stay in evaluation mode while training. Those whose running statistics were never measured
    (a mean of exactly zero and one variance for all channels, as conversion tools leave behind that folded them away)
    are always held: batch statistics would be another function than the one that was pretrained.
    """

    def __init__(
        self, description: CheckpointDescription, network: Any, normalise: Normalise, *, hold_statistics: bool = False
    ) -> None:
        super().__init__(description, network)
        self.normalise = normalise
        self.held = [part for part in norms(network) if hold_statistics or _has_unfit_statistics(part)]

    def inputs(self, views: Views) -> dict[str, Tensor]:
        """The pixels as they are."""
        assert isinstance(views, Tensor)  # noqa: S101 - payloads do not mix what checkpoints read
        return {"pixels": views}

    @abstractmethod
    def features_alone(self) -> nn.Module:
        """A copy that maps pixels (b, 3, S, S) to features (b, D); its parameters are the backbone's and no others."""

    def checked(self, classes: int, image_size: int) -> None:
        """Refuse a network whose answer is not one row of logits for an image.

        Raises:
            StudentUnsupported: it is not.
        """
        with torch.inference_mode():
            logits = self.eval()(torch.zeros(1, 3, image_size, image_size))
        if logits.shape != (1, classes):
            raise StudentUnsupported(
                f"{self.description.id} answers {tuple(logits.shape)} where (1, {classes}) is expected"
            )


def norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisation layers that keep running statistics."""
    return [part for part in network.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]


def at_size(checkpoint: Checkpoint, image_size: int) -> Checkpoint:
    """The checkpoint itself, its network set to read images of `image_size`.

    Raises:
        StudentUnsupported: it does not read images of that size.
    """
    description = checkpoint.description
    network: Any = checkpoint.module
    try:
        if hasattr(network, "set_input_size") and description.input_size != image_size:
            network.set_input_size(img_size=(image_size, image_size))
        network.eval()
        with torch.inference_mode():
            checkpoint.forward(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise StudentUnsupported(f"{description.id} does not read images of {image_size} pixels: {error}") from error
    return checkpoint


def _has_unfit_statistics(part: _BatchNorm) -> bool:
    mean, variance = part.running_mean, part.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and float(variance.max() - variance.min()) < 1e-6
