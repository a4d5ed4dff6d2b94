"""The part of a transformers' model that reads images, and what of its output are the features. Imports torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.auto.auto_factory import _get_model_class

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.opening.image_processor import PIXELS
from frontrunner.hub.opening.transformers_loading import load_model

# What pairs of encoders call the one that reads images.
_TOWERS = ("vision_model", "image_model", "vision_tower", "vision_encoder", "visual")
_CLASSIFIES = "ForImageClassification"
_INTERPOLATE = "interpolate_pos_encoding"


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


def classifying_module(module: Any) -> Any:
    """The family's class for image classification with the module's weights: itself, where it is one.

    Where it is not, the classifier's weights are random.

    Raises:
        CheckpointUnreadable: the family has no such class, or weights that it reads are not among the module's.
    """
    config = module.config
    if is_classifier(config):
        return module
    mapping = transformers.AutoModelForImageClassification._model_mapping
    if type(config) not in mapping:
        raise CheckpointUnreadable(f"transformers has no classifier of images of the family {config.model_type}")
    with torch.random.fork_rng(devices=[]):
        whole = _get_model_class(config, mapping)(config)
    encoder = next((part for part in whole.modules() if type(part) is type(module)), None)
    if encoder is None:
        raise CheckpointUnreadable(f"transformers' classifier of images of {config.model_type} reads another encoder")
    missing = encoder.load_state_dict(module.state_dict(), strict=False).missing_keys
    if missing:
        raise CheckpointUnreadable(f"weights are missing, for instance {missing[:3]}")
    return whole


class ImageRun:
    """Forward passes of a module over a batch: a tensor of pixels, or what it takes by name.

    Positions are interpolated where a module can do so and refuses images of another size.

    Attributes:
        module: what runs.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self._interpolates = _INTERPOLATE in inspect.signature(module.forward).parameters

    def __call__(self, inputs: Any) -> Any:
        """The module's output."""
        given = dict(inputs) if isinstance(inputs, Mapping) else {PIXELS: inputs}
        try:
            return self.module(**given)
        except ValueError:  # what families say whose positions are those of one size
            if not self._interpolates:
                raise
        return self.module(**given, **{_INTERPOLATE: True})

    def interpolates(self, example: Mapping[str, Tensor]) -> bool:
        """Whether positions are interpolated for images like the example."""
        if not self._interpolates:
            return False
        try:
            self.module(**example)
        except ValueError:
            return True
        return False


def logits_in(output: Any) -> Tensor:
    """What a classifier of images answers."""
    # PP-LCNet calls them its last hidden state.
    logits = getattr(output, "logits", None)
    return torch.as_tensor(output.last_hidden_state if logits is None else logits)


def classifier_layers(module: nn.Module, logits_of: Callable[[], Tensor]) -> list[nn.Module]:
    """The layers of `module` that give its logits, found in one forward pass, which `logits_of` makes.

    It is the layer whose output the logits are; where the logits are the mean of several layers' outputs, as after
    distillation, all of these layers.

    Raises:
        CheckpointUnreadable: no layer gives them.
    """
    given: list[tuple[nn.Module, Tensor]] = []

    def remember(layer: nn.Module, _arguments: Any, output: Tensor) -> None:
        given.append((layer, output))

    hooks = [
        layer.register_forward_hook(remember) for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    try:
        logits = logits_of()
    finally:
        for hook in hooks:
            hook.remove()
    same = [layer for layer, output in given if output.numel() == logits.numel() and _equal(output, logits)]
    wide = [layer for layer, output in given if output.shape == logits.shape]
    layers = same[-1:] or wide
    if not layers:
        raise CheckpointUnreadable("no layer of the model gives its logits")
    return layers


class ClassifierInput:
    """Remembers what enters the layers that give a classifier's logits; of several layers the inputs' mean."""

    def __init__(self, module: nn.Module, logits_of: Callable[[], Tensor]) -> None:
        """Look for the layers of `module` in one forward pass, which `logits_of` makes."""
        self._entered: dict[int, Tensor] = {}
        self._layers = classifier_layers(module, logits_of)
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
