"""Folding normalisation into the convolution before it: the same function, one pass over memory fewer.

On a CPU the normalisation layers of a small convolutional network cost about as much as its convolutions. Pairs are
found by watching one forward pass, whatever the architecture, and the folded module is kept only if it reproduces
the features; otherwise the original is used.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from frontrunner.hub.opening.checkpoint import Checkpoint

# Folding changes rounding only: float32 through some fifty layers stays well inside this.
_TOLERANCE = 1e-4


@torch.no_grad()  # not inference mode: the folded weights must stay ordinary tensors that can be moved
def fold_normalisation(checkpoint: Checkpoint, example: Any) -> bool:
    """Fold in place where that leaves the features of `example`, a small batch, as they were; says whether it did.

    The checkpoint must only be read afterwards, in evaluation mode: a folded layer no longer normalises.
    """
    if not any(_is_foldable(module) for module in checkpoint.module.modules()):
        return False
    before = checkpoint.forward(example).features
    pairs = _pairs(checkpoint, example)
    if not pairs:
        return False
    kept = {name: checkpoint.module.get_submodule(name) for pair in pairs for name in pair}
    for convolution_name, norm_name in pairs:
        convolution: Any = kept[convolution_name]
        norm: Any = kept[norm_name]
        checkpoint.module.set_submodule(convolution_name, fuse_conv_bn_eval(convolution, norm))
        checkpoint.module.set_submodule(norm_name, _after_normalisation(norm))
    after = checkpoint.forward(example).features
    scale = before.abs().max().clamp_min(1e-12)
    if bool(((after - before).abs().max() / scale) <= _TOLERANCE):
        return True
    for name, module in kept.items():
        checkpoint.module.set_submodule(name, module)
    return False


def _pairs(checkpoint: Checkpoint, example: Any) -> list[tuple[str, str]]:
    """(convolution, normalisation) names where the second's only input is the first's output, each used once."""
    produced: dict[int, tuple[str, Tensor]] = {}  # holding the tensor keeps its id from being reused
    consumed: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()

    def watch(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            calls[name] += 1
            if isinstance(module, nn.Conv2d):
                produced[id(output)] = (name, output)
            elif id(arguments[0]) in produced:
                consumed.append((produced[id(arguments[0])][0], name))

        return hook

    handles = [
        module.register_forward_hook(watch(name))
        for name, module in checkpoint.module.named_modules()
        if type(module) is nn.Conv2d or _is_foldable(module)
    ]
    try:
        checkpoint.forward(example)
    finally:
        for handle in handles:
            handle.remove()
    uses = Counter(convolution for convolution, _ in consumed)
    return [(c, n) for c, n in consumed if calls[c] == calls[n] == uses[c] == 1]


def _is_foldable(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.track_running_stats and module.running_var is not None


def _after_normalisation(norm: nn.Module) -> nn.Module:
    """What timm's fused norm-and-activation layers do after normalising; nothing for a plain one."""
    parts = [part for name in ("drop", "act") if isinstance(part := getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*copy.copy(parts))


def lay_out_for_reading(checkpoint: Checkpoint, example: Any) -> None:
    """Prepare an opened checkpoint for many forward passes: normalisation folded, channels last if convolutional."""
    fold_normalisation(checkpoint, example)
    for layer in checkpoint.module.modules():
        if isinstance(layer, nn.Conv2d):  # and no other layer: weights of five dimensions have no such format
            layer.to(memory_format=torch.channels_last)


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """A block that may lay out `module` for reading and move it; afterwards its layers and device are as before."""
    layers = dict(module.named_modules())
    device = next((parameter.device for parameter in module.parameters()), None)
    try:
        yield
    finally:
        # Layers come before those inside of them.
        for name, layer in layers.items():
            if name and module.get_submodule(name) is not layer:
                module.set_submodule(name, layer)
        if device is not None:
            module.to(device)
