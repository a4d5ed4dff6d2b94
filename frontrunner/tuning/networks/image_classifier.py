"""`ImageClassifier`: a checkpoint of images with a new head, which sees pixels as it was trained to.

All networks of a tuning take pixels in [0, 1] and normalise them by themselves, so checkpoints that were trained with
different means and deviations can look at one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from frontrunner.tuning.networks.classifier import Classifier, NewHead


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


class ImageClassifier(Classifier):
    """A timm network; (b, 3, S, S) in [0, 1] to logits (b, C).

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

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, head: NewHead, image_size: int, *, hold_statistics: bool = False
    ) -> ImageClassifier:
        """An opened checkpoint, given a new head.

        Args:
            checkpoint: of images, in timm's form; its network becomes the classifier's.
            head: what it is given.
            image_size: side of the views, pixels; set where the architecture must know it.
            hold_statistics: hold every normalisation layer.

        Raises:
            StudentUnsupported: not timm's, or it does not read images of that size.
        """
        description = checkpoint.description
        network: Any = at_size(checkpoint, image_size).module
        with head.seeded():
            network.reset_classifier(head.classes)
        classifier = cls(description, network, Normalise.of(checkpoint), hold_statistics=hold_statistics)
        with torch.inference_mode():
            logits = classifier.eval()(torch.zeros(1, 3, image_size, image_size))
        if logits.shape != (1, head.classes):
            raise StudentUnsupported(
                f"{description.id} answers {tuple(logits.shape)} where (1, {head.classes}) is expected"
            )
        return classifier

    def inputs(self, views: Views) -> dict[str, Tensor]:
        """The pixels as they are."""
        assert isinstance(views, Tensor)  # noqa: S101 - payloads do not mix what checkpoints read
        return {"pixels": views}

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Feature maps, or whatever timm's `forward_head` takes."""
        maps: Tensor = self.network.forward_features(self.normalise(inputs["pixels"]))
        return maps

    def pooled(self, hidden: Tensor) -> Tensor:
        """Features (b, D), as timm pools them before its classifier."""
        features: Tensor = self.network.forward_head(hidden, pre_logits=True)
        return features

    def answer(self, hidden: Tensor) -> Tensor:
        """Logits (b, C) of timm's own head."""
        logits: Tensor = self.network.forward_head(hidden)
        return logits

    def head_layers(self) -> list[nn.Module]:
        """timm's classifier."""
        head = self.network.get_classifier()
        return list(head) if isinstance(head, (tuple, list)) else [head]


def norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisation layers that keep running statistics."""
    return [part for part in network.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]


def at_size(checkpoint: Checkpoint, image_size: int) -> Checkpoint:
    """The checkpoint itself, its network set to read images of `image_size`.

    Raises:
        StudentUnsupported: not timm's, or it does not read images of that size.
    """
    description = checkpoint.description
    network: Any = checkpoint.module
    if description.library != "timm":
        raise StudentUnsupported(f"{description.id} is in {description.library}'s form; only timm's can be tuned")
    try:
        if hasattr(network, "set_input_size") and description.input_size != image_size:
            network.set_input_size(img_size=(image_size, image_size))
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise StudentUnsupported(f"{description.id} does not read images of {image_size} pixels: {error}") from error
    return checkpoint


def _has_unfit_statistics(part: _BatchNorm) -> bool:
    mean, variance = part.running_mean, part.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and float(variance.max() - variance.min()) < 1e-6
