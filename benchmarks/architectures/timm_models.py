"""timm's architectures: fewer blocks and a smaller input where the architecture lets one choose them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.data
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_model
from timm.models import save_for_hf
from timm.models._hub import save_config_for_hf
from torch import Tensor, nn

from benchmarks.architectures.sweep import LeftOut

# What families call their depth; the first that an architecture takes is used.
_DEPTHS: tuple[dict[str, Any], ...] = ({"depth": 2}, {"depths": (1, 1, 1, 1)}, {"layers": (1, 1, 1, 1)}, {})
# Sides that patches of 8, 14, 16, and 32 pixels and windows of 7 and 8 patches divide; the first that fits is used.
_IMAGE_SIZES = (64, 56, 112, 128, None)
# Convolutions that halve five times are left with 2 x 2 positions.
_SIDE = 64
# Rounding is 1e-7, in each of some hundred layers: what it becomes must stay below what the sweep tolerates.
_CALM = 30.0
_SIDES = ((90, 70), (50, 80), (64, 64))


class _Timm:
    """timm's models, by name."""

    name = "timm"

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.examples: list[Image.Image] = [
            Image.fromarray(generator.integers(0, 256, (*side, 3), dtype=np.uint8)) for side in _SIDES
        ]

    def architectures(self) -> Sequence[str]:
        """As timm lists them."""
        names: list[str] = timm.list_models()
        return names

    @torch.inference_mode()
    def write(self, architecture: str, folder: Path, max_parameters: int) -> NDArray[np.float32]:
        """A folder as `save_for_hf` writes it, and what timm makes of each image."""
        module, arguments = _smallest(architecture, max_parameters)
        disturb(module)
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
        channels = module.pretrained_cfg["input_size"][0]
        pixels = [transform(image.convert("L") if channels == 1 else image)[None] for image in self.examples]
        _calm(module, pixels)
        config = {"model_args": arguments} if arguments else {}
        try:
            save_for_hf(module, folder, model_config=config, safe_serialization=True)
        except RuntimeError:  # layers share weights, which timm's way of saving refuses
            save_config_for_hf(module, folder / "config.json", model_config=config)
            save_model(module, folder / "model.safetensors")
        return torch.cat([_read(module, image) for image in pixels]).numpy()


PART = _Timm()


def disturb(module: nn.Module) -> None:
    """Weights and running statistics that differ from their initial values, which hide branches behind zeros.

    Matrices keep their scale: deep networks that amplify would amplify rounding as well.
    """
    for value in module.parameters():
        spread = float(value.std()) if value.ndim > 1 else 0.0
        if spread:
            value.add_(torch.randn_like(value), alpha=0.3 * spread).div_(1.044)
        else:
            value.add_(torch.randn_like(value), alpha=0.02)
    for name, value in module.named_buffers():
        if name.endswith("running_mean"):
            value.add_(torch.randn_like(value), alpha=0.05)
        if name.endswith("running_var"):
            value.mul_(torch.rand_like(value) * 0.4 + 0.8)
    # Evaluation keeps what it computed from weights (attention biases); training forgets it.
    module.train().eval()


def _calm(module: Any, pixels: list[Tensor]) -> None:
    """Measure the running statistics of a network that amplifies rounding, as training would have.

    Raises:
        LeftOut: it amplifies rounding all the same.
    """
    if all(_amplification(module, image) < _CALM for image in pixels):
        return
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    module.train()(torch.cat(pixels))
    module.eval()
    if any(_amplification(module, image) >= _CALM for image in pixels):
        raise LeftOut("with random weights it amplifies rounding")


def _amplification(module: Any, pixels: Tensor) -> float:
    """How much of a change by 1e-6 of the input arrives in the features, as a multiple of it."""
    before = _read(module, pixels)
    return float((_read(module, pixels * (1 + 1e-6)) - before).abs().max() / before.abs().max() / 1e-6)


def _smallest(architecture: str, max_parameters: int) -> tuple[Any, dict[str, Any]]:
    """The module in evaluation mode, and the arguments that make it small.

    Raises:
        LeftOut: it has more parameters than are allowed, even so.
    """
    fixed = timm.models.get_pretrained_cfg(architecture).fixed_input_size
    shallow = next(depth for depth in _DEPTHS if not depth or _takes(architecture, depth, max_parameters))
    sides = _IMAGE_SIZES if fixed else (None,)
    choices = [depth if side is None else depth | {"img_size": side} for depth in (shallow, {}) for side in sides]
    failure: Exception | None = None
    for arguments in choices:
        try:
            if "img_size" not in arguments:
                _takes(architecture, arguments, max_parameters)
            return _readable(architecture, arguments), arguments
        except LeftOut:
            raise
        except Exception as error:
            failure = error
    raise failure or LeftOut("nothing makes it small")


def _readable(architecture: str, arguments: dict[str, Any]) -> Any:
    """The module with these arguments, after it read one image; encoders that take no classes have none."""
    try:
        module = timm.create_model(architecture, num_classes=5, **arguments).eval()
    except NotImplementedError:
        module = timm.create_model(architecture, **arguments).eval()
    channels, height, _ = module.pretrained_cfg["input_size"]
    side = arguments.get("img_size")
    if side is None:
        _shrink_input(module)
        height = module.pretrained_cfg["input_size"][-1]
    else:
        module.pretrained_cfg = module.pretrained_cfg | {"input_size": (channels, side, side)}
    _read(module, torch.zeros(1, channels, side or height, side or height))
    return module


def _takes(architecture: str, arguments: dict[str, Any], max_parameters: int) -> bool:
    """Whether the architecture can be built with these arguments, by shapes alone.

    Raises:
        LeftOut: it has more parameters than are allowed.
    """
    try:
        with torch.device("meta"):
            module = timm.create_model(architecture, num_classes=5, **arguments)
    except Exception as error:
        # It computes with its weights while it is built: it takes them.
        return isinstance(error, NotImplementedError) or "meta" in str(error)
    count = sum(value.numel() for value in module.parameters())
    if count > max_parameters:
        raise LeftOut(f"{count:,} parameters")
    return True


def _read(module: Any, pixels: Tensor) -> Tensor:
    features: Tensor = module.forward_head(module.forward_features(pixels), pre_logits=True)
    return features.flatten(1)


def _shrink_input(module: Any) -> None:
    """A smaller input, stated where timm reads it, for modules that take any."""
    cfg = module.pretrained_cfg
    if cfg.get("fixed_input_size"):
        return
    side = max(_SIDE, *(cfg.get("min_input_size") or (3, 0, 0))[1:])
    if side >= cfg["input_size"][-1]:
        return
    try:
        if _read(module, torch.zeros(1, cfg["input_size"][0], side, side)).isfinite().all():
            module.pretrained_cfg = cfg | {"input_size": (cfg["input_size"][0], side, side)}
    except Exception:  # it takes no smaller one
        return
