"""What a configuration or the names of weights tell of an image encoder before anything is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from frontrunner.hub.describing.weights import Shapes

# What configurations of several parts call the one of images.
_PARTS = ("vision_config", "image_config")
# The image encoder of a pair, by the beginning of its weights' names.
_TOWER = re.compile(r"(\w+\.)?(vision_model|image_model|vision_tower|vision_encoder|visual)\.")
# Beginnings of the names of what comes after an encoder, and is not read.
_AFTER_ENCODER = ("decoder.", "lm_head.", "decode_head.", "auxiliary_head.", "neck.", "head.", "qa_outputs.")
_CLASSIFIES = "ForImageClassification"
_DEPTHS = ("depths", "depth")
_STAGE_WIDTHS = ("hidden_sizes", "embed_dims", "embed_dim", "dims")
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "encoder_layers")
_WIDTHS = ("hidden_size", "n_embd", "embed_dim", "d_model")
# timm's names of layers or stages, with the number: `blocks.3.`, `stages.0.`, `layer2.`.
_STACKED = re.compile(r"(?:trunk\.)?(?:(blocks|stages|layers)\.(\d+)\.|(layer)(\d+)\.)")


def layer_widths(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Width of each layer that can be read of an image encoder in transformers' form; of stages where it has those.

    Returns:
        As many as there are layers or stages; empty where the configuration does not say.

    Example:
        >>> layer_widths({"num_hidden_layers": 2, "hidden_size": 8})
        (8, 8)
        >>> layer_widths({"depths": [2, 2, 6], "embed_dim": 8})
        (8, 16, 32)
    """
    seen = next((part for name in _PARTS if isinstance(part := config.get(name), Mapping)), config)
    depths = next((d for name in _DEPTHS if isinstance(d := seen.get(name), (list, tuple))), None)
    if depths is not None:
        widths = next((w for name in _STAGE_WIDTHS if (w := seen.get(name)) is not None), None)
        if isinstance(widths, (list, tuple)) and len(widths) == len(depths):
            return tuple(int(width) for width in widths)
        return (
            tuple(widths * 2**stage for stage in range(len(depths))) if isinstance(widths, int) else (0,) * len(depths)
        )
    layers = next((n for name in _LAYERS if isinstance(n := seen.get(name), int) and n > 0), 0)
    width = next((w for name in _WIDTHS if isinstance(w := seen.get(name), int)), 0)
    return (width,) * layers


def timm_layers(shapes: Shapes) -> tuple[str, ...]:
    """Names of the layers, or of the stages, of a model in timm's form, in order; empty where they cannot be told.

    Example:
        >>> timm_layers({"conv1.weight": (), "layer1.0.conv1.weight": (), "layer2.0.conv1.weight": ()})
        ('layer1', 'layer2')
        >>> timm_layers({"blocks.0.mlp.weight": (), "blocks.1.mlp.weight": ()})
        ('blocks.0', 'blocks.1')
    """
    found: dict[str, set[int]] = {}
    for name in shapes:
        match = _STACKED.match(name)
        if match:
            stack = match[1] + "." if match[1] else match[3]
            found.setdefault(name[: match.start(1 if match[1] else 3)] + stack, set()).add(int(match[2] or match[4]))
    if len(found) != 1:
        return ()
    ((stack, numbers),) = found.items()
    return tuple(f"{stack}{number}" for number in sorted(numbers))


def read_of_images(shapes: Shapes, config: Mapping[str, Any]) -> Shapes:
    """The tensors that reading an image needs, by their names: no encoder of texts, no decoder.

    Example:
        >>> list(read_of_images({"vit.layer.0.weight": (4, 4), "decoder.0.weight": (9, 4)}, {}))
        ['vit.layer.0.weight']
    """
    if any(isinstance(config.get(part), Mapping) for part in _PARTS):
        tower = {name: shape for name, shape in shapes.items() if _TOWER.match(name) or _is_head(name, config)}
        return tower or shapes
    if _classifies(config):
        return shapes
    return {name: shape for name, shape in shapes.items() if not name.startswith(_AFTER_ENCODER)}


def _classifies(config: Mapping[str, Any]) -> bool:
    return any(_CLASSIFIES in str(name) for name in config.get("architectures") or ())


def _is_head(name: str, config: Mapping[str, Any]) -> bool:
    return _classifies(config) and name.startswith("classifier.")
