"""`TextClassifier`: a text checkpoint with a new head on the features that its own pooling gives and rankings read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frontrunner.errors import StudentUnsupported
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.texts import TextPreparation
from frontrunner.tuning.examples.examples import Texts, Views
from frontrunner.tuning.networks.classifier import Classifier, NewHead


class TextClassifier(Classifier):
    """An encoder or decoder in transformers' form; b texts to logits (b, C).

    Args:
        checkpoint: opened.
        classes: C.

    Attributes:
        preparation: makes tokens of texts.
        scale: the head sees features times this, so that those of length one are as large as others.
    """

    def __init__(self, checkpoint: Checkpoint, classes: int) -> None:
        super().__init__(checkpoint.description, checkpoint.module)
        if not isinstance(checkpoint.preparation, TextPreparation):
            raise StudentUnsupported(f"{checkpoint.description.id} does not read texts")
        self.preparation = checkpoint.preparation
        self.classifier = nn.Linear(checkpoint.feature_dimension, classes)
        pooling = checkpoint.description.text_pooling
        self.scale = checkpoint.feature_dimension**0.5 if pooling is not None and pooling.normalised else 1.0
        self._read = checkpoint.forward

    @classmethod
    def of(cls, checkpoint: Checkpoint, head: NewHead) -> TextClassifier:
        """An opened checkpoint of texts, given a new head.

        Raises:
            StudentUnsupported: it cannot be written again as it is read.
        """
        description = checkpoint.description
        config: Any = checkpoint.module.config
        pooling = description.text_pooling
        if pooling is not None and pooling.layer == "mean":
            raise StudentUnsupported(f"{description.id}: the mean over layers has no form to write a tuned model in")
        if pooling is not None and (pooling.projected or pooling.prompt or pooling.pooling == "pooler"):
            raise StudentUnsupported(
                f"{description.id} reads texts through a prompt, dense layers or a pooler of its own, "
                "which have no form in a tuned model"
            )
        if config.is_encoder_decoder:
            raise StudentUnsupported(f"{description.id} is half of an encoder-decoder, which has no form of its own")
        with head.seeded():
            return cls(checkpoint, head.classes)

    def inputs(self, views: Views) -> dict[str, Tensor]:
        """The tokenizer's tensors, (b, t) each, where the network is."""
        assert isinstance(views, Texts)  # noqa: S101 - payloads do not mix what checkpoints read
        tokens = self.preparation.together(views.firsts, views.seconds)
        return dict(tokens.to(self.classifier.weight.device))

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Features (b, D)."""
        return self._read(inputs).features

    def pooled(self, hidden: Tensor) -> Tensor:
        """The same: the checkpoint's own pooling has been done."""
        return hidden

    def answer(self, hidden: Tensor) -> Tensor:
        """Logits (b, C) of the scaled features."""
        logits: Tensor = self.classifier(hidden * self.scale)
        return logits

    def head_layers(self) -> list[nn.Module]:
        """The linear layer."""
        return [self.classifier]

    def plain_head(self) -> nn.Linear:
        """The head as one linear layer on the features, the scale within its weights."""
        head = nn.Linear(self.classifier.in_features, self.classifier.out_features)
        with torch.no_grad():
            head.weight.copy_(self.classifier.weight * self.scale)
            head.bias.copy_(self.classifier.bias)
        return head
