"""Opening checkpoints in timm's form: folders with `architecture`, and the weights that packages ship."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import timm.data
import torch
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint
from frontrunner.hub.checkpoint import Checkpoint
from frontrunner.hub.description import CONFIG_FILE, CheckpointDescription, read_config

# Arguments of timm.create_model that load files or fetch from a network; a configuration must not set them.
_FORBIDDEN_ARGUMENTS = frozenset(
    {
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "checkpoint_path",
        "cache_dir",
        "scriptable",
        "exportable",
        "features_only",
    }
)

# A buffer that older checkpoints lack and that evaluation does not read.
_COUNTER = "num_batches_tracked"


def open_timm_directory(description: CheckpointDescription) -> Checkpoint:
    """Open a folder of `config.json` and `model.safetensors` by timm's own loader; `model_args` are honoured.

    Raises:
        UnsafeCheckpoint: `model_args` ask to load something else.
        CheckpointUnreadable: unknown architecture, or weights that do not fit it.
    """
    config = read_config(Path(description.path) / CONFIG_FILE)
    forbidden = sorted(_FORBIDDEN_ARGUMENTS & dict(config.get("model_args") or {}).keys())
    if forbidden:
        raise UnsafeCheckpoint(f"{description.id}: model_args must not set {', '.join(forbidden)}")
    # timm prefers model.safetensors over every other file, and describing made sure that it is there.
    return _checkpoint(description, _create(description, f"local-dir:{description.path}", pretrained=True))


def open_packaged(description: CheckpointDescription) -> Checkpoint:
    """Open weights that a package ships: same tensors in the same order as timm's, under other names.

    The file's digest was compared with the pinned one when it was described.

    Raises:
        CheckpointUnreadable: a tensor's shape does not fit.
    """
    module = _create(description, description.architecture, pretrained=False)
    stored = torch.load(description.path, map_location="cpu", weights_only=True)
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith(_COUNTER)}
    given = [value for name, value in stored.items() if not name.endswith(_COUNTER)]
    if [value.shape for value in given] != [value.shape for value in wanted.values()]:
        raise CheckpointUnreadable(f"{description.id}: the shapes in {Path(description.path).name} do not fit")
    module.load_state_dict(dict(zip(wanted, given, strict=True)), strict=False)
    return _checkpoint(description, module)


def _create(description: CheckpointDescription, name: str, *, pretrained: bool) -> Any:
    if not timm.is_model(description.architecture):
        raise CheckpointUnreadable(
            f"{description.id}: timm {timm.__version__} has no architecture '{description.architecture}'"
        )
    try:
        return timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # whatever a configuration or a weights file leads an architecture to
        raise CheckpointUnreadable(f"{description.id}: timm cannot open it: {error}") from error


def _checkpoint(description: CheckpointDescription, module: Any) -> Checkpoint:
    module = module.eval().float()
    preparation = timm.data.resolve_data_config({}, pretrained_cfg=module.pretrained_cfg)
    transform: Callable[..., Tensor] = timm.data.create_transform(**preparation, is_training=False)
    return Checkpoint(
        description=description,
        module=module,
        preprocess=transform,
        read_features=functools.partial(_penultimate, module),
        feature_dimension=int(module.head_hidden_size),
    )


def _penultimate(module: Any, batch: Tensor) -> Tensor:
    features: Tensor = module.forward_head(module.forward_features(batch), pre_logits=True)
    return features
