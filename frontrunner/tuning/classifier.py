"""`Classifier`: a checkpoint with a new head, which sees pixels as it was trained to.

All networks of a tuning take pixels in [0, 1] and normalise them by themselves, so checkpoints that were trained with
different means and deviations can look at one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from frontrunner.errors import StudentUnsupported
from frontrunner.hub.checkpoint import Checkpoint
from frontrunner.hub.description import CheckpointDescription
from frontrunner.hub.images import ImagePreparation
from frontrunner.hub.opening import open_checkpoint
from frontrunner.tuning.randomness import WEIGHTS, seeded


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


class Classifier(nn.Module):
    """A timm network whose head tells the target's classes apart; (b, 3, S, S) in [0, 1] to logits (b, C).

    Held normalisation layers stay in evaluation mode while training. Those whose running statistics were never measured
    (a mean of exactly zero and one variance for all channels, as conversion tools leave behind that folded them away)
    are always held: batch statistics would be another function than the one that was pretrained.

    Attributes:
        description: the checkpoint that it was.
        network: timm's module.
        held: the normalisation layers that are.
    """

    def __init__(
        self, description: CheckpointDescription, network: Any, normalise: Normalise, *, hold_statistics: bool = False
    ) -> None:
        super().__init__()
        self.description = description
        self.network = network
        self.normalise = normalise
        self.held = [part for part in norms(network) if hold_statistics or _has_unfit_statistics(part)]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (b, C)."""
        logits: Tensor = self.network(self.normalise(pixels))
        return logits

    def both(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features (b, D) that the head sees, and logits (b, C), from one pass through the backbone."""
        hidden = self.network.forward_features(self.normalise(pixels))
        return self.network.forward_head(hidden, pre_logits=True), self.network.forward_head(hidden)

    def features(self, pixels: Tensor) -> Tensor:
        """Features (b, D) that the head sees."""
        features: Tensor = self.network.forward_head(
            self.network.forward_features(self.normalise(pixels)), pre_logits=True
        )
        return features

    def train(self, mode: bool = True) -> Classifier:
        """As in torch, with the held layers left in evaluation mode."""
        super().train(mode)
        for part in self.held:
            part.eval()
        return self

    def head(self) -> list[nn.Parameter]:
        """The new weights."""
        return list(_parameters(self.network.get_classifier()))

    def backbone(self) -> list[tuple[str, nn.Parameter]]:
        """The pretrained weights, by timm's names."""
        new = {id(parameter) for parameter in self.head()}
        return [(name, weight) for name, weight in self.network.named_parameters() if id(weight) not in new]


def norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisation layers that keep running statistics."""
    return [part for part in network.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]


def open_classifier(
    description: CheckpointDescription,
    classes: int,
    image_size: int,
    seed: int,
    *,
    place: int = 0,
    hold_statistics: bool = False,
) -> Classifier:
    """Open a checkpoint and give it a new head.

    Args:
        description: a checkpoint of images in timm's form.
        classes: C.
        image_size: side of the views; set where the architecture must know it.
        seed: of the head's first weights.
        place: which of several heads of one tuning.
        hold_statistics: hold every normalisation layer.

    Raises:
        CheckpointError: it cannot be opened.
        StudentUnsupported: not timm's, or it does not read images of that size.
    """
    checkpoint = open_timm(description, image_size)
    network: Any = checkpoint.module
    with seeded(seed, WEIGHTS, place):
        network.reset_classifier(classes)
    classifier = Classifier(description, network, Normalise.of(checkpoint), hold_statistics=hold_statistics)
    with torch.inference_mode():
        answered = classifier.eval()(torch.zeros(1, 3, image_size, image_size))
    if answered.shape != (1, classes):
        raise StudentUnsupported(f"{description.id} answers {tuple(answered.shape)} where (1, {classes}) is expected")
    return classifier


def open_timm(description: CheckpointDescription, image_size: int) -> Checkpoint:
    """A timm checkpoint whose network reads images of `image_size`.

    Raises:
        CheckpointError: it cannot be opened.
        StudentUnsupported: not timm's, or it does not read images of that size.
    """
    if description.library != "timm":
        raise StudentUnsupported(f"{description.id} is in {description.library}'s form; only timm's can be tuned")
    checkpoint = open_checkpoint(description)
    network: Any = checkpoint.module
    try:
        if hasattr(network, "set_input_size") and description.input_size != image_size:
            network.set_input_size(img_size=(image_size, image_size))
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise StudentUnsupported(f"{description.id} does not read images of {image_size} pixels: {error}") from error
    return checkpoint


def _parameters(head: Any) -> Iterator[nn.Parameter]:
    parts: Iterable[nn.Module] = head if isinstance(head, (tuple, list)) else (head,)
    for part in parts:
        yield from part.parameters()


def _has_unfit_statistics(part: _BatchNorm) -> bool:
    mean, variance = part.running_mean, part.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and float(variance.max() - variance.min()) < 1e-6
