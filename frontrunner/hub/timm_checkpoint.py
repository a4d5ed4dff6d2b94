"""Opening checkpoints in timm's form: folders with `architecture`, and the weights that packages ship."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import timm.data
import torch
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint
from frontrunner.hub.checkpoint import Checkpoint
from frontrunner.hub.description import CONFIG_FILE, WEIGHTS_FILE, CheckpointDescription, read_config

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


def open_timm_directory(description: CheckpointDescription) -> Checkpoint:
    """Open a folder of `config.json` and `model.safetensors` in timm's form; `model_args` are honoured.

    Raises:
        UnsafeCheckpoint: `model_args` ask to load something else.
        CheckpointUnreadable: unknown architecture, or weights that do not fit it.
    """
    folder = Path(description.path)
    config = read_config(folder / CONFIG_FILE)
    arguments = dict(config.get("model_args") or {})
    forbidden = sorted(_FORBIDDEN_ARGUMENTS & arguments.keys())
    if forbidden:
        raise UnsafeCheckpoint(f"{description.id}: model_args must not set {', '.join(forbidden)}")
    for name in ("num_classes", "global_pool"):
        if config.get(name) is not None:
            arguments.setdefault(name, config[name])
    module = _create(description, arguments)
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS_FILE)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointUnreadable(f"{description.id}: {WEIGHTS_FILE} cannot be read: {error}") from error
    _load(module, weights, description)
    pretrained_cfg = dict(config.get("pretrained_cfg") or {})
    pretrained_cfg.update(
        {key: tuple(pretrained_cfg[key]) for key in ("input_size", "mean", "std") if key in pretrained_cfg}
    )
    return _checkpoint(description, module, pretrained_cfg)


def open_packaged(description: CheckpointDescription) -> Checkpoint:
    """Open weights that a package ships: same tensors in the same order as timm's, under other names.

    The file's digest was compared with the pinned one when it was described.

    Raises:
        CheckpointUnreadable: a tensor's shape does not fit.
    """
    module = _create(description, {})
    stored = torch.load(description.path, map_location="cpu", weights_only=True)
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
    if [tuple(value.shape) for value in given] != [tuple(value.shape) for value in wanted.values()]:
        raise CheckpointUnreadable(f"{description.id}: the shapes in {Path(description.path).name} do not fit")
    _load(module, dict(zip(wanted, given, strict=True)), description)
    return _checkpoint(description, module, dict(module.pretrained_cfg))


def _create(description: CheckpointDescription, arguments: dict[str, Any]) -> Any:
    if not timm.is_model(description.architecture):
        raise CheckpointUnreadable(
            f"{description.id}: timm {timm.__version__} has no architecture '{description.architecture}'"
        )
    try:
        return timm.create_model(description.architecture, pretrained=False, **arguments)
    except Exception as error:  # an architecture may raise anything for arguments that make no sense to it
        raise CheckpointUnreadable(f"{description.id}: timm refuses its configuration: {error}") from error


def _load(module: nn.Module, weights: dict[str, Tensor], description: CheckpointDescription) -> None:
    try:
        missing, unexpected = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CheckpointUnreadable(f"{description.id}: weights do not fit: {error}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise CheckpointUnreadable(
            f"{description.id}: weights do not fit {description.architecture}: "
            f"missing {missing[:3]}, unexpected {unexpected[:3]}"
        )


def _checkpoint(description: CheckpointDescription, module: Any, pretrained_cfg: dict[str, Any]) -> Checkpoint:
    module = module.eval().float()
    preparation = timm.data.resolve_data_config({}, pretrained_cfg=pretrained_cfg)
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
