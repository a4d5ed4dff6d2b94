"""transformers' image encoders: every family of its registers of image models, tiny, as its library saves it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.data
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.architectures.sweep import LeftOut
from benchmarks.architectures.timm_models import disturb

_SIDE = 64
_SIDES = ((90, 70), (50, 80), (64, 64))
# The registers of what reads an image and gives features of it, or classes.
_REGISTERS = ("IMAGE_CLASSIFICATION", "MASKED_IMAGE_MODELING", "ZERO_SHOT_IMAGE_CLASSIFICATION", "IMAGE")
# Sizes by what configurations call them: whatever of these a family has is set.
_SMALL: dict[str, Any] = {
    "hidden_size": 64, "d_model": 32, "n_embd": 32, "num_hidden_layers": 2, "n_layer": 2, "num_attention_heads": 2,
    "n_head": 2, "intermediate_size": 64, "image_size": _SIDE, "patch_size": 16, "num_labels": 5, "vocab_size": 100,
    "projection_dim": 16, "max_position_embeddings": 32, "num_key_value_heads": 2, "head_dim": 16,
    "encoder_stride": 16, "decoder_num_hidden_layers": 1, "decoder_hidden_size": 32, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 64,
}  # fmt: skip
# What single families need beside.
_OF_FAMILY: dict[str, dict[str, Any]] = {
    "imagegpt": {"vocab_size": 513, "n_positions": _SIDE * _SIDE},
    "timm_wrapper": {"architecture": "test_vit", "do_pooling": True},
    "perceiver": {"num_latents": 8, "num_self_attends_per_block": 1, "num_blocks": 1, "num_labels": 5},
}


class _Vision:
    """Families and heads, as `vit/ViTForImageClassification`."""

    name = "vision"

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.examples: list[Image.Image] = [
            Image.fromarray(generator.integers(0, 256, (*side, 3), dtype=np.uint8)) for side in _SIDES
        ]

    def architectures(self) -> Sequence[str]:
        """Every class that a register names."""
        found: dict[str, None] = {}
        for register in _REGISTERS:
            for family, classes in getattr(modeling_auto, f"MODEL_FOR_{register}_MAPPING_NAMES").items():
                for name in (classes,) if isinstance(classes, str) else classes:
                    found[f"{family}/{name}"] = None
        return sorted(found)

    @torch.inference_mode()
    def write(self, architecture: str, folder: Path, max_parameters: int) -> NDArray[np.float32]:
        """A folder as `save_pretrained` writes it, and what the model makes of each image."""
        family, name = architecture.split("/")
        config = tiny_config(family)
        module = getattr(transformers, name)(config).eval()
        count = sum(value.numel() for value in module.parameters())
        if count > max_parameters:
            raise LeftOut(f"{count:,} parameters")
        disturb(module)
        module.save_pretrained(folder)
        if family == "timm_wrapper":
            return _of_timm(module, self.examples)
        tiny_processor(family, config).save_pretrained(folder)
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        read = _before_classifier if "ForImageClassification" in name else _pooled
        rows = []
        for image in self.examples:
            made = processor(images=image, return_tensors="pt")
            takes = inspect.signature(module.forward).parameters
            rows.append(read(module, {key: value for key, value in made.items() if key in takes}))
        return torch.cat(rows).numpy()


PART = _Vision()


def tiny_config(family: str) -> Any:
    """A configuration of the family with everything small that has a known name."""
    kind = CONFIG_MAPPING[family]
    return _tiny(kind, _OF_FAMILY.get(family, {}))


def _tiny(kind: Any, more: dict[str, Any]) -> Any:
    default = kind() if not more.get("architecture") else kind(**more)
    stated = default.to_dict()
    chosen = {name: value for name, value in _SMALL.items() if isinstance(stated.get(name), int)}
    if "window_size" in stated:
        chosen.pop("image_size", None)  # windows do not divide a small one
    if not {"num_attention_heads", "num_hidden_layers"} <= chosen.keys():
        chosen.pop("patch_size", None)  # of a stage, and not of a stack
    for name, value in stated.items():
        if name == "depths" and isinstance(value, (list, tuple)):
            chosen[name] = [1] * len(value)
        inner = getattr(default, name, None)
        if name.endswith("_config") and isinstance(inner, transformers.PreTrainedConfig) and name != "backbone_config":
            chosen[name] = _tiny(type(inner), {}).to_dict()
    return kind(**(chosen | more))


def tiny_processor(family: str, config: Any) -> Any:
    """The family's own processor at the tiny size; ViT's where it has none."""
    side = getattr(getattr(config, "vision_config", None) or config, "image_size", _SIDE)
    side = side if isinstance(side, int) else side[0] if isinstance(side, (list, tuple)) else _SIDE
    try:
        kind = transformers.models.auto.image_processing_auto.IMAGE_PROCESSOR_MAPPING[type(config)]
        kind = next(
            (
                k
                for k in (
                    kind if isinstance(kind, tuple) else tuple(kind.values()) if isinstance(kind, dict) else (kind,)
                )
                if k
            ),
            None,
        )
    except KeyError:
        kind = None
    kind = kind or transformers.ViTImageProcessor
    if family == "imagegpt":
        clusters = np.random.default_rng(0).uniform(-1, 1, (512, 3)).tolist()
        return kind(clusters=clusters, size={"height": 8, "width": 8})
    default = kind()
    size = dict(getattr(default, "size", None) or {"height": 0, "width": 0})
    small = dict.fromkeys(size, side)
    crop = {"crop_size": {"height": side, "width": side}} if getattr(default, "crop_size", None) else {}
    return kind(size=small, **crop)


def _of_timm(module: Any, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """What the wrapped model of timm makes of each image, by timm's own preprocessing."""
    inner = module.timm_model
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(inner), is_training=False)
    rows = [inner.forward_head(inner.forward_features(transform(image)[None]), pre_logits=True) for image in images]
    return torch.cat(rows).numpy()


def _before_classifier(module: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The features whose product with the classifier's weights are the logits, found by the classifier's name."""
    heads = [
        getattr(module, name)
        for name in (
            "classifier",
            "cls_classifier",
            "distillation_classifier",
            "head",
            "dist_head",
            "score",
            "fc",
            "classifier_distill",
        )
        if isinstance(getattr(module, name, None), torch.nn.Module)
    ]
    seen: list[torch.Tensor] = []
    leaves = [
        next((p for p in reversed(list(head.modules())) if isinstance(p, (torch.nn.Linear, torch.nn.Conv2d))), None)
        for head in heads
    ]
    hooks = [
        leaf.register_forward_pre_hook(lambda _m, args: seen.append(args[0].flatten(1)))
        for leaf in leaves
        if leaf is not None
    ]
    module(**inputs)
    for hook in hooks:
        hook.remove()
    if not seen:
        raise LeftOut("its classifier is not found by name")
    return torch.stack(seen[-len(hooks) :]).mean(dim=0)


def _pooled(module: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The pooled output of the body, or the mean over positions."""
    body = module if type(module).__name__.endswith("Model") else module.base_model
    body = next(
        (
            t
            for t in (getattr(body, name, None) for name in ("vision_model", "image_model", "vision_tower"))
            if t is not None
        ),
        body,
    )
    if hasattr(body.config, "mask_ratio"):
        body.config.mask_ratio = 0.0
    takes = inspect.signature(body.forward).parameters
    output = body(**{name: value for name, value in inputs.items() if name in takes})
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return pooled.flatten(1)
    hidden = getattr(output, "encoder_last_hidden_state", None)
    hidden = output.last_hidden_state if hidden is None else hidden
    class_token = any("cls_token" in name for name, _ in module.named_parameters())
    if "MaskedImage" in type(module).__name__ and class_token:
        return hidden[:, 0]  # its pooling layer is not saved: the class token
    return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)
