"""`TimmClassifier`: a checkpoint of images in timm's form with a new head in the place of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.tuning.networks.classifier import NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier, Normalise, at_size


class TimmClassifier(ImageClassifier):
    """A timm network, whose classifier is the new head."""

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, head: NewHead, image_size: int, *, hold_statistics: bool = False
    ) -> TimmClassifier:
        """An opened checkpoint, given a new head; arguments and errors as for `image_classifier`."""
        network: Any = at_size(checkpoint, image_size).module
        with head.seeded():
            network.reset_classifier(head.classes)
        classifier = cls(checkpoint.description, network, Normalise.of(checkpoint), hold_statistics=hold_statistics)
        classifier.checked(head.classes, image_size)
        return classifier

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

    def features_alone(self) -> nn.Module:
        """timm's network without a classifier."""
        network = copy.deepcopy(self.network)
        network.reset_classifier(0)
        return _FeaturesAlone(network, self.normalise)


class _FeaturesAlone(nn.Module):
    def __init__(self, network: Any, normalise: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.network.forward_features(self.normalise(pixels))
        features: Tensor = self.network.forward_head(hidden, pre_logits=True)
        return features
