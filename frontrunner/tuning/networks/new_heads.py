"""From an opened checkpoint of any library to a `Classifier`: the one place that knows which class is for which."""

from __future__ import annotations

from typing import Any

from torch import nn

from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.tuning.networks import transformers_classifier
from frontrunner.tuning.networks.classifier import NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier
from frontrunner.tuning.networks.timm_classifier import TimmClassifier
from frontrunner.tuning.networks.transformers_classifier import TransformersClassifier


def image_classifier(
    checkpoint: Checkpoint, head: NewHead, image_size: int, *, hold_statistics: bool = False
) -> ImageClassifier:
    """An opened checkpoint of images, given a new head.

    Args:
        checkpoint: of images; its network becomes the classifier's.
        head: what it is given.
        image_size: side of the views, pixels; set where the architecture must know it.
        hold_statistics: hold every normalisation layer.

    Raises:
        StudentUnsupported: it does not read images of that size, or what it is has no form as a tuned model.
    """
    form = TimmClassifier if checkpoint.description.library == "timm" else TransformersClassifier
    return form.of(checkpoint, head, image_size, hold_statistics=hold_statistics)


def own_linear_classifier(checkpoint: Checkpoint, image_size: int) -> nn.Linear | None:
    """The linear layer that gives a checkpoint's own logits, before it is given a new head; None without one.

    Args:
        checkpoint: of images, reading `image_size`.
        image_size: side of the views, pixels.
    """
    if checkpoint.description.library != "timm":
        return transformers_classifier.own_linear_classifier(checkpoint, image_size)
    network: Any = checkpoint.module
    own = network.get_classifier()
    return own if isinstance(own, nn.Linear) else None
