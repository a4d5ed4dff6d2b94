"""Opening checkpoints in timm's form: folders with `architecture`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import timm.data
from torch import Tensor, nn

from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.hub.describing.configuration import CONFIG_FILE, MULTI_LABEL, read_config
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.weights import WEIGHTS_FILE, tensor_shapes
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.hub.opening.loading import assign_weights, unallocated


def open_timm_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder of `config.json` and `model.safetensors`; `model_args` are honoured.

    Weights that fit as they are go straight from the file into place, once in memory. Others are left to timm, which
    renames and resamples them and holds them twice meanwhile.

    Raises:
        CheckpointUnreadable: unknown architecture, or weights that do not fit it.
    """
    config = read_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    if not timm.is_model(description.architecture):
        raise CheckpointUnreadable(
            f"{description.id}: timm {timm.__version__} has no architecture '{description.architecture}'"
        )
    try:
        with unallocated():
            module = timm.create_model(f"local-dir:{folder}")
        if _fits(module, weights):
            assign_weights(module, weights)
        else:
            # timm prefers model.safetensors over every other file, and describing made sure that it is there.
            module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except CheckpointError as error:
        raise CheckpointUnreadable(f"{description.id}: {error.reason}") from error
    except Exception as error:  # whatever a configuration or a weights file leads an architecture to
        raise CheckpointUnreadable(f"{description.id}: timm cannot open it: {error}") from error
    return _checkpoint(description, module, several_labels=config.get("problem_type") == MULTI_LABEL)


def _fits(module: nn.Module, weights: Path) -> bool:
    """Whether every tensor of the file has a place of its name and shape, and the classifier needs no rows dropped."""
    places = module.state_dict()
    offset = getattr(module, "pretrained_cfg", {}).get("label_offset", 0)
    return not offset and all(
        name in places and places[name].shape == shape for name, shape in tensor_shapes(weights).items()
    )


def _checkpoint(description: CheckpointDescription, module: Any, *, several_labels: bool) -> Checkpoint:
    module = module.eval().float()
    preparation = timm.data.resolve_data_config({}, pretrained_cfg=module.pretrained_cfg)
    return Checkpoint(
        description=description,
        module=module,
        preparation=ImagePreparation(timm.data.create_transform(**preparation, is_training=False)),
        forward=_Forward(module, classifies=_classifies(module) and not several_labels),
        feature_dimension=int(module.head_hidden_size),
    )


class _Forward:
    """One pass through the backbone; the head is applied to what comes out of it."""

    def __init__(self, module: Any, *, classifies: bool) -> None:
        self._module = module
        self._classifies = classifies

    def __call__(self, pixels: Tensor) -> ForwardOutput:
        hidden = self._module.forward_features(pixels)
        # The architecture's own head, not its classifier layer: some have two, or convolve before they classify.
        logits = self._module.forward_head(hidden) if self._classifies else None
        return ForwardOutput(self._module.forward_head(hidden, pre_logits=True), logits)


def _classifies(module: Any) -> bool:
    """Whether the head tells classes apart.

    Image encoders of contrastive pairs keep their projection into the joint space where a classifier would be, until
    they are fine-tuned (`_ft_` in timm's tags).
    """
    stated = module.pretrained_cfg
    name = f"{stated.get('architecture', '')}.{stated.get('tag', '')}"
    projects = any(kind in name for kind in ("clip", "pe_core")) and "_ft_" not in name
    return module.num_classes > 1 and not projects
