"""Discriminative rates: the first layers, which know the most general things, learn slowest.

Source: Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.2.
"""

from __future__ import annotations

from collections import defaultdict

from timm.models import group_parameters
from torch import nn

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import DiscriminativeOptions
from frontrunner.tuning.training.method import (
    HEAD_RATE,
    Batch,
    Method,
    Outcome,
    RateGroup,
    cross_entropy,
    decaying,
    plain,
)


def discriminative(context: TuningContext[DiscriminativeOptions]) -> Method:
    """Loss: cross-entropy. A layer's rate is `decay` times that of the layer after it; timm says what a layer is."""
    options = context.options
    student = context.open_student()

    def loss(batch: Batch) -> Outcome:
        logits = student(batch.views)
        return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)

    return Method(student, layer_rates(student, options.decay), loss, student, plain(student))


def layer_rates(student: Classifier, decay: float) -> list[RateGroup]:
    """The last backbone layer at rate one, each one before it at `decay` times the next; the head at ten."""
    layer_of = group_parameters(student.network, student.network.group_matcher(coarse=False), reverse=True)
    layers: dict[int, list[nn.Parameter]] = defaultdict(list)
    for name, weight in student.backbone():
        layers[layer_of[name]].append(weight)
    last = max(layers)
    groups = [group for layer, weights in layers.items() for group in decaying(weights, decay ** (last - layer))]
    return [*groups, *decaying(student.head(), HEAD_RATE)]
