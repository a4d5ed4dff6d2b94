"""Lite Zoo-Tuning: gates that do not depend on the example, so that the mixtures can be carried out once.

Shu et al., "Zoo-Tuning: Adaptive Transfer from a Zoo of Models", ICML 2021. `fold` gives one plain model of the
original architecture that answers as the trained zoo does.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.zoo_layers import ZooLayer
from frontrunner.tuning.methods.zoo_tuning import leader_first, prepared_zoo, zoo_method
from frontrunner.tuning.networks.image_classifier import ImageClassifier
from frontrunner.tuning.options import LiteZooTuningOptions
from frontrunner.tuning.training.method import Method


def lite_zoo_tuning(context: TuningContext[LiteZooTuningOptions]) -> Method:
    """Loss: cross-entropy. Gates for the whole batch; folds into one plain model."""
    teachers = leader_first(context)
    zoo = prepared_zoo(context, teachers, shared=True)
    return zoo_method(zoo, teachers, lambda: {"model": fold(zoo, teachers[0])})


def fold(zoo: ImageClassifier, like: ImageClassifier) -> ImageClassifier:
    """One plain classifier that answers as the lite `zoo` does in evaluation mode.

    Args:
        zoo: of shared gates.
        like: a classifier of the architecture, whose layers are copied and given the mixed weights.
    """
    folded = copy.deepcopy(zoo)
    plain: Any = like.network
    for name, part in zoo.network.named_modules():
        if isinstance(part, ZooLayer):
            layer = copy.deepcopy(plain.get_submodule(name))
            weight, bias = part.mixed(part.gates.settled()[None])
            with torch.no_grad():
                layer.weight.copy_(weight[0])
                if bias is not None:
                    layer.bias.copy_(bias[0])
            folded.network.set_submodule(name, layer)
    return folded.eval()
