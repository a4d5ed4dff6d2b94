"""Zoo-Tuning: one network whose every layer mixes the weights of all checkpoints.

Shu et al., "Zoo-Tuning: Adaptive Transfer from a Zoo of Models", ICML 2021. Every plain convolution and linear map of
the backbone becomes a `zoo_layers.ZooLayer`. What is no such layer is shared and begins as the leader's: normalisation,
position embeddings and the like. The head is new and shared.

The first gates add up to one, and are not equal: 1 for the leader, the checkpoint of the highest LogME, and 0 for the
others. Checkpoints that began from different random weights have channels of different meanings at one place, and a
mean of them is no working network. So the first step is the leader's, and the gates, whose gradient is large at that
start (`zoo_layers.Gates`), find out what the others add. docs/tuning.md has figures.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from frontrunner.errors import ArchitecturesDiffer, StudentUnsupported
from frontrunner.scores.logme import logme_from_statistics
from frontrunner.statistics import FeatureStatistics
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.examples import Views
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.methods.zoo_layers import Gates, replaceable, zoo_layer
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.networks.image_classifier import ImageClassifier, norms
from frontrunner.tuning.options import LiteZooTuningOptions, ZooTuningOptions
from frontrunner.tuning.randomness import NOISE, epoch_order
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying

ZooContext: TypeAlias = TuningContext[ZooTuningOptions | LiteZooTuningOptions]
# Images that running statistics are measured on, and how many at a time.
_MEASURED = 512
_AT_ONCE = 32


def zoo_tuning(context: TuningContext[ZooTuningOptions]) -> Method:
    """Loss: cross-entropy. Gates for each example; not one plain model."""
    teachers = leader_first(context)
    return zoo_method(prepared_zoo(context, teachers, shared=False), teachers, dict)


def prepared_zoo(context: ZooContext, teachers: Sequence[ImageClassifier], *, shared: bool) -> ImageClassifier:
    """The zoo of the teachers, the leader first, ready to be trained on the context's images.

    Raises:
        StudentUnsupported: the architecture reads weights of layers otherwise than by calling the layers.
    """
    leader, others = context.options.leader, len(teachers) - 1
    zoo = make_zoo(teachers, [leader] + [(1 - leader) / others] * others, shared=shared)
    try:
        with torch.no_grad():
            zoo.eval()(context.images.plain(torch.zeros(1, dtype=torch.long)))
    except AttributeError as error:
        raise StudentUnsupported(
            f"{zoo.description.architecture} reads its layers' weights directly: {error}"
        ) from error
    if not context.hold_statistics:
        measure_statistics(zoo, context.images, context.seed)
    return zoo


def zoo_method(
    zoo: ImageClassifier, teachers: Sequence[ImageClassifier], models: Callable[[], dict[str, Classifier]]
) -> Method:
    """The method that trains a zoo of the teachers; `models` are the plain ones in it.

    Gates learn at the backbone's rate: at the head's, the noise of the first steps throws them off the leader.
    """

    def loss(batch: Batch) -> Outcome:
        logits = zoo(batch.views)
        return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)

    head = list(zoo.head())
    ids = {id(weight) for weight in head}
    groups = [*decaying(weight for weight in zoo.parameters() if id(weight) not in ids), *decaying(head, HEAD_RATE)]
    names = [teacher.description.id for teacher in teachers]
    return Method(
        zoo,
        groups,
        loss,
        zoo,
        models,
        teacher_weights=lambda views: dict(zip(names, mean_gates(zoo, views).tolist(), strict=True)),
    )


def mean_gates(zoo: ImageClassifier, views: Views) -> Tensor:
    """(m,) mean gate of each checkpoint over the zoo's layers and b examples; leaves the zoo in evaluation mode."""
    seen: list[Tensor] = []
    hooks = [
        part.register_forward_hook(lambda _module, _given, gates: seen.append(gates.mean(dim=0)))
        for part in zoo.modules()
        if isinstance(part, Gates)
    ]
    try:
        with torch.no_grad():
            zoo.eval()(views)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(seen).mean(dim=0)


def leader_first(context: ZooContext) -> list[ImageClassifier]:
    """The opened teachers, the one of the highest LogME on the training images before the others.

    Raises:
        ArchitecturesDiffer: their networks differ in more than their classifiers had.
    """
    teachers = context.open_image_teachers()
    require_one_architecture(teachers)
    labels = context.train.labels.numpy()
    scores = [
        logme_from_statistics(FeatureStatistics().update(context.extract(teacher).features, labels=labels)).score
        for teacher in context.teachers
    ]
    leader = teachers.pop(scores.index(max(scores)))
    return [leader, *teachers]


def make_zoo(teachers: Sequence[ImageClassifier], first: Sequence[float], *, shared: bool) -> ImageClassifier:
    """The first teacher's network with every layer mixed out of all teachers'.

    Args:
        teachers: two or more classifiers of one architecture, the leader first.
        first: gates to start with, adding up to one.
        shared: the lite form.
    """
    zoo = copy.deepcopy(teachers[0])
    head = {id(part) for layer in zoo.head_layers() for part in layer.modules()}
    names = [n for n, part in zoo.network.named_modules() if replaceable(part) and id(part) not in head]
    for name in names:
        layers = [teacher.network.get_submodule(name) for teacher in teachers]
        zoo.network.set_submodule(name, zoo_layer(layers, first, shared=shared))
    return zoo


def measure_statistics(zoo: ImageClassifier, images: Images, seed: int) -> None:
    """Running statistics of every normalisation layer as plain means over the batches of the target's images.

    No layer is held any longer.
    """
    measured = norms(zoo)
    zoo.held = []
    momenta = [norm.momentum for norm in measured]
    zoo.eval()
    for norm in measured:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    # Shuffled: images lie in the order of their classes, and a batch of one class has the statistics of that class.
    rows = epoch_order(len(images), seed, 0, NOISE)[:_MEASURED]
    with torch.no_grad():
        for piece in rows.tensor_split(-(-len(rows) // _AT_ONCE)):
            zoo(images.plain(piece))
    for norm, momentum in zip(measured, momenta, strict=True):
        norm.momentum = momentum


def require_one_architecture(teachers: Sequence[ImageClassifier]) -> None:
    """The same layers with weights of the same shapes.

    Raises:
        ArchitecturesDiffer: they are not.
    """
    first = teachers[0]
    shapes = {name: value.shape for name, value in _tensors(first.network)}
    layers = [repr(part) for part in first.network.modules() if replaceable(part)]
    for other in teachers[1:]:
        differ = {name: value.shape for name, value in _tensors(other.network)} != shapes
        if differ or [repr(part) for part in other.network.modules() if replaceable(part)] != layers:
            raise ArchitecturesDiffer(
                f"{first.description.id} and {other.description.id} are not of one architecture: "
                f"{first.description.architecture} and {other.description.architecture}, or layers of other sizes"
            )


def _tensors(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]
