"""The part of a transformers' model that reads images, and what of its output are the features. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.auto.auto_factory import _get_model_class

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.opening.transformers_loading import load_model

# What pairs of encoders call the one that reads images.
_TOWERS = ("vision_model", "image_model", "vision_tower", "vision_encoder", "visual")
_CLASSIFIES = "ForImageClassification"


def load_image_module(checkpoint: str, folder: Path, config: Any, *, classifier: bool) -> tuple[Any, list[str]]:
    """What reads images, in evaluation mode, and the names of its weights that the folder does not hold.

    Of a pair of encoders it is the image encoder. Masked-image models read all patches.

    Args:
        checkpoint: its id, for messages.
        folder: where its weights lie.
        config: its configuration, as transformers reads it.
        classifier: whether its classifier is wanted, where it was saved with one.

    Raises:
        CheckpointUnreadable: the family reads no single images, or weights are misshapen.
    """
    if hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0
    auto = (
        transformers.AutoModelForImageClassification if classifier and is_classifier(config) else transformers.AutoModel
    )
    if type(config) not in auto._model_mapping:
        raise CheckpointUnreadable(f"{checkpoint}: transformers has no image encoder of the family {config.model_type}")
    module, missing = load_model(checkpoint, _get_model_class(config, auto._model_mapping), folder, config)
    if is_classifier(config) and classifier:
        return module, missing
    return _tower(checkpoint, module, missing)


def is_classifier(config: Any) -> bool:
    """Whether it was saved with a classifier of images."""
    return any(_CLASSIFIES in str(name) for name in config.architectures or ())


def image_config(config: Any) -> Any:
    """The part of a configuration that describes what reads images: all of it, where it has no parts."""
    return getattr(config, "vision_config", None) or getattr(config, "image_config", None) or config


def _tower(checkpoint: str, module: Any, missing: list[str]) -> tuple[Any, list[str]]:
    if image_config(module.config) is module.config:
        return module, missing
    for part in (module, *(child for _, child in module.named_children())):
        for name in _TOWERS:
            tower = getattr(part, name, None)
            if isinstance(tower, nn.Module):
                held = {id(value) for value in (*tower.parameters(), *tower.buffers())}
                places = dict(module.named_parameters()) | dict(module.named_buffers())
                return tower, [name for name in missing if id(places.get(name)) in held]
    raise CheckpointUnreadable(f"{checkpoint}: {module.config.model_type} has no image encoder that can be read alone")


class ClassifierInput:
    """Finds the layers that give a classifier's logits, and remembers what enters them.

    It is the layer whose output the logits are; where the logits are the mean of several layers' outputs, as after
    distillation, all of these layers, and their inputs' mean is remembered.
    """

    def __init__(self, module: nn.Module, logits_of: Callable[[], Tensor]) -> None:
        """Look for the layers of `module` in one forward pass, which `logits_of` makes."""
        self._entered: dict[int, Tensor] = {}
        given: list[tuple[nn.Module, Tensor]] = []

        def remember(layer: nn.Module, _arguments: Any, output: Tensor) -> None:
            given.append((layer, output))

        hooks = [
            layer.register_forward_hook(remember)
            for layer in module.modules()
            if isinstance(layer, (nn.Linear, nn.Conv2d))
        ]
        try:
            logits = logits_of()
        finally:
            for hook in hooks:
                hook.remove()
        same = [layer for layer, output in given if output.numel() == logits.numel() and _equal(output, logits)]
        wide = [layer for layer, output in given if output.shape == logits.shape]
        self._layers = same[-1:] or wide
        if not self._layers:
            raise CheckpointUnreadable("no layer of the model gives its logits")
        for layer in self._layers:
            layer.register_forward_pre_hook(self._remember)

    def _remember(self, layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._entered[id(layer)] = arguments[0]

    def take(self) -> Tensor:
        """(b, D) what entered in the last forward pass."""
        entered = [self._entered[id(layer)].flatten(1) for layer in self._layers]
        self._entered.clear()
        return entered[0] if len(entered) == 1 else torch.stack(entered).mean(dim=0)


def _equal(output: Tensor, logits: Tensor) -> bool:
    """Whether a layer's output is the logits; NaN where the layer's weights are missing."""
    return bool(torch.allclose(output.flatten(), logits.flatten(), equal_nan=True))
