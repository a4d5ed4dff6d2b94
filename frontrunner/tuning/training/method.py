"""`Method`: one way to tune, as the training loop sees it. A small object: modules, a loss, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frontrunner.tuning.examples.examples import Views
from frontrunner.tuning.networks.classifier import Classifier

# A new head starts from nothing and has the backbone's pretrained weights to catch up with.
HEAD_RATE = 10.0
WEIGHT_DECAY = 1e-4


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        rows: (b,) which training examples, on the CPU: what is kept of an example is found by it.
        views: of b examples, augmented: (b, 3, S, S) pixels in [0, 1], or texts.
        labels: (b,) class codes.
        unlabelled: augmented views of u examples of the target, in adaptation; None otherwise.
        progress: share of the training that is over, 0 to 1.
    """

    rows: Tensor
    views: Views
    labels: Tensor
    unlabelled: Views | None
    progress: float

    @property
    def target(self) -> Views:
        """The views of the target, in adaptation."""
        assert self.unlabelled is not None  # noqa: S101 - payloads of adaptation carry a source beside the target
        return self.unlabelled


class Outcome(NamedTuple):
    """What a loss says of a batch: its parts, which are added up, and the logits (b, C) that accuracy is read from."""

    parts: dict[str, Tensor]
    logits: Tensor


@dataclass(frozen=True)
class RateGroup:
    """Weights that learn at `rate` times the learning rate."""

    weights: Sequence[nn.Parameter]
    rate: float = 1.0
    decay: float = WEIGHT_DECAY


@dataclass(frozen=True)
class Method:
    """One way to tune.

    Attributes:
        module: everything that is trained, saved and resumed; nothing else.
        groups: its weights with their rates; weights of no group stand still.
        loss: of a batch, in training mode. Batches may come in pieces: a loss is a mean over examples.
        classify: views of b examples to logits (b, C), in evaluation mode.
        models: the plain models in it, by folder name; none where it is no plain model.
        frozen: modules that the loss reads and nobody trains.
        teacher_weights: how much each teacher counts for b examples, by checkpoint id, a mean over examples and layers;
            None where teachers are not weighed. What is trained is left in evaluation mode.
    """

    module: nn.Module
    groups: Sequence[RateGroup]
    loss: Callable[[Batch], Outcome]
    classify: Callable[[Views], Tensor]
    models: Callable[[], dict[str, Classifier]]
    frozen: Sequence[nn.Module] = field(default=())
    teacher_weights: Callable[[Views], Mapping[str, float]] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return [weight for group in self.groups for weight in group.weights]

    @property
    def held_norms(self) -> int:
        """Normalisation layers that keep their statistics."""
        return sum(len(part.held) for part in self.module.modules() if isinstance(part, Classifier))


def rates(classifier: Classifier, *, backbone_decay: float = WEIGHT_DECAY) -> list[RateGroup]:
    """The backbone at the learning rate, the head at ten times it; gains and biases do not decay."""
    return [
        *decaying([weight for _, weight in classifier.backbone()], decay=backbone_decay),
        *decaying(classifier.head(), HEAD_RATE),
    ]


def decaying(weights: Iterable[nn.Parameter], rate: float = 1.0, decay: float = WEIGHT_DECAY) -> list[RateGroup]:
    """Two groups at one rate: matrices and kernels, which decay, and vectors, which do not."""
    kept = list(weights)
    groups = [
        RateGroup([weight for weight in kept if weight.ndim > 1], rate, decay),
        RateGroup([weight for weight in kept if weight.ndim <= 1], rate, 0.0),
    ]
    return [group for group in groups if group.weights]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over examples."""
    return nn.functional.cross_entropy(logits, labels)


def divergence(answers: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T^2 KL(wanted || softmax(answers / T)), mean over examples; `wanted` are probabilities, softened already.

    Source: Hinton, Vinyals & Dean, 2015: the factor keeps gradients of one size whatever T.
    """
    log_answers = torch.log_softmax(answers / temperature, dim=1)
    return temperature**2 * nn.functional.kl_div(log_answers, wanted, reduction="batchmean")


def plain(classifier: Classifier) -> Callable[[], dict[str, Classifier]]:
    """`Method.models` of a method whose model is one classifier."""
    return lambda: {"model": classifier}
