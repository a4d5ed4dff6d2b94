"""Reading an image encoder at a layer, and pooling positions. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.reading import ImagePooling

# Parameters of a class token have one of these in their names.
_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token", "cls_embed")


class Positions:
    """How positions become one row of features.

    Args:
        module: what gives them.
        widths: of its layers, where they are known: they tell channels from rows.
        prefix: positions before those of the image that the mean leaves out: a class token, and registers.
    """

    def __init__(self, module: nn.Module, widths: Sequence[int], prefix: int = 0) -> None:
        self.class_token = any(token in name for name, _ in module.named_parameters() for token in _CLASS_TOKENS)
        self._prefix = prefix
        self._widths = set(widths)

    @property
    def default(self) -> str:
        """`cls` where there is a class token, else `mean`."""
        return "cls" if self.class_token else "mean"

    def pool(self, hidden: Tensor, pooling: str) -> Tensor:
        """(b, D) of (b, N, D), (b, D, H, W) or (b, H, W, D); rows (b, D) are left as they are."""
        if hidden.ndim == 4:
            rows_first = hidden.shape[1] not in self._widths and hidden.shape[3] in self._widths
            return hidden.mean(dim=(1, 2) if rows_first else (2, 3))
        if hidden.ndim == 3:
            return hidden[:, 0] if pooling == "cls" else hidden[:, self._prefix :].mean(dim=1)
        return hidden.flatten(1)


class _Reached(Exception):
    """A forward pass came as far as it is read."""


def outputs_of(layers: Sequence[nn.Module], run: Callable[[], object]) -> list[Tensor]:
    """The outputs of these layers, in the order of their calls, while `run` runs as far as the last of them."""
    outputs: list[Tensor] = []

    def keep(layer: nn.Module, _arguments: Any, output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)
        if layer is layers[-1]:
            raise _Reached

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        run()
    except _Reached:
        return outputs
    finally:
        for hook in hooks:
            hook.remove()
    raise CheckpointUnreadable("its last layer is never reached")


def features_at_layers(
    layers: Sequence[nn.Module], run: Callable[[], object], positions: Positions, how: ImagePooling
) -> Tensor:
    """(b, D) as the layers give it, without what follows them.

    Args:
        layers: up to the one that is read.
        run: a forward pass of the whole model.
        positions: how each layer's output is pooled.
        how: the mean over all of `layers`, or else the last of them.

    Raises:
        CheckpointUnreadable: the mean is asked for, and the layers are of different widths.
    """
    outputs = outputs_of(layers, run)
    read = outputs if how.layer == "mean" else outputs[-1:]
    pooled = [positions.pool(hidden, how.pooling or positions.default) for hidden in read]
    if len({rows.shape for rows in pooled}) > 1:
        raise CheckpointUnreadable("its layers are of different widths and have no mean; name one, as in #layer=2")
    return torch.stack(pooled).mean(dim=0)


def stack_of(module: nn.Module, count: int) -> tuple[nn.Module, str] | None:
    """Where the outermost list of `count` layers is held, and under which name; None where there is none."""
    for part in module.modules():
        for name, child in part.named_children():
            if isinstance(child, (nn.ModuleList, nn.Sequential)) and len(child) == count:
                return part, name
    return None


def keep_layers(module: nn.Module, count: int, layers: int) -> None:
    """Cut the module's stack of `count` layers down to the first `layers`; what closes the stack stays behind them."""
    held = stack_of(module, count)
    if held is None or layers == count:
        return
    owner, name = held
    setattr(owner, name, getattr(owner, name)[:layers])
    for part in module.modules():
        for stated in (part, getattr(part, "config", part)):
            for entry in ("num_hidden_layers", "n_layer", "num_layers", "depth"):
                if vars(stated).get(entry) == count:
                    setattr(stated, entry, layers)
