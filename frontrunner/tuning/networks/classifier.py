"""`Classifier`: a checkpoint with a new head, whatever it reads. Methods see no more of a network than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.tuning.examples.examples import Views
from frontrunner.tuning.randomness import WEIGHTS, seeded


@dataclass(frozen=True)
class NewHead:
    """The head that a checkpoint is given.

    Attributes:
        classes: C.
        seed: of its first weights.
        place: which of several heads of one tuning.
    """

    classes: int
    seed: int
    place: int = 0

    def seeded(self) -> AbstractContextManager[None]:
        """The block in which its first weights are drawn."""
        return seeded(self.seed, WEIGHTS, self.place)


class Classifier(nn.Module, ABC):
    """A network whose head tells the target's classes apart; views of b examples to logits (b, C).

    A pass has two halves: `hidden`, all of the backbone, and `answer`, the head on top of it. The backbone is given
    tensors by name, `inputs`, and nothing else: what is written for other runtimes starts there.

    Attributes:
        description: the checkpoint that it was.
        network: the module of the library that it comes from.
        held: normalisation layers that stay in evaluation mode while training.
        reads_as_ranked: whether its features, before any training, are those that rankings read of the checkpoint.
    """

    reads_as_ranked = True

    def __init__(self, description: CheckpointDescription, network: Any) -> None:
        super().__init__()
        self.description = description
        self.network = network
        self.held: list[_BatchNorm] = []

    @abstractmethod
    def inputs(self, views: Views) -> dict[str, Tensor]:
        """What the backbone is given of b views: tensors (b, ...) by name."""

    @abstractmethod
    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the head is given, of `inputs`."""

    def hidden(self, views: Views) -> Tensor:
        """What the head is given."""
        return self.read(self.inputs(views))

    @abstractmethod
    def pooled(self, hidden: Tensor) -> Tensor:
        """Features (b, D) that the head's last layer sees."""

    @abstractmethod
    def answer(self, hidden: Tensor) -> Tensor:
        """Logits (b, C)."""

    @abstractmethod
    def head_layers(self) -> list[nn.Module]:
        """What is new: one layer in nearly every architecture."""

    def forward(self, views: Views) -> Tensor:
        """Logits (b, C)."""
        return self.answer(self.hidden(views))

    def features(self, views: Views) -> Tensor:
        """Features (b, D) that the head's last layer sees."""
        return self.pooled(self.hidden(views))

    def both(self, views: Views) -> tuple[Tensor, Tensor]:
        """Features (b, D) and logits (b, C), from one pass through the backbone."""
        hidden = self.hidden(views)
        return self.pooled(hidden), self.answer(hidden)

    def train(self, mode: bool = True) -> Classifier:
        """As in torch, with the held layers left in evaluation mode."""
        super().train(mode)
        for part in self.held:
            part.eval()
        return self

    def head(self) -> list[nn.Parameter]:
        """The new weights."""
        return [weight for layer in self.head_layers() for weight in layer.parameters()]

    def linear_head(self) -> nn.Linear | None:
        """The head where it is one linear layer."""
        layers = self.head_layers()
        return layers[0] if len(layers) == 1 and isinstance(layers[0], nn.Linear) else None

    def backbone(self) -> list[tuple[str, nn.Parameter]]:
        """The pretrained weights, by their library's names."""
        new = {id(parameter) for parameter in self.head()}
        return [(name, weight) for name, weight in self.network.named_parameters() if id(weight) not in new]
