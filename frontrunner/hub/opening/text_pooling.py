"""From hidden states of texts to one row of features: poolings, and the steps that may follow. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.sentence_encoder import STEP_WEIGHTS, PipelineStep, SentenceEncoder

_ACTIVATIONS = "torch.nn.modules.activation."
_IDENTITY = ("torch.nn.modules.linear.Identity", "torch.nn.Identity")
_DEFAULT_ACTIVATION = f"{_ACTIVATIONS}Tanh"
_LENGTH_FLOOR = 1e-9


def pool(hidden: Tensor, mask: Tensor, pooling: str, skipped: int = 0) -> Tensor:
    """One row a text, as sentence-transformers pools.

    Args:
        hidden: (b, t, D) hidden states of texts padded on the right.
        mask: (b, t), 1 on tokens.
        pooling: a mode of `TextPooling`, or several joined by `+`, but for `pooler`.
        skipped: tokens at the beginning that do not count, those of a prompt.

    Returns:
        (b, D), or (b, k D) of k joined modes.
    """
    counted = mask
    if skipped:
        counted = mask.clone()
        counted[:, :skipped] = 0
    rows = [_MODES[mode](hidden, counted) for mode in pooling.split("+")]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)


def _first(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, mask.to(torch.int32).argmax(dim=1))


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1))


def _at(hidden: Tensor, positions: Tensor) -> Tensor:
    # By shape and not by `len`, which an exporter takes for a constant.
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), positions]


def _maximum(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(_LENGTH_FLOOR)


def _mean_sqrt_len(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(_LENGTH_FLOOR).sqrt()


def _weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Later tokens, which have seen more, weigh more: the k-th token k times as much as the first."""
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=hidden.dtype)
    weights = (mask.to(hidden.dtype) * places).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(_LENGTH_FLOOR)


_MODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first,
    "last": _last,
    "max": _maximum,
    "mean": _mean,
    "mean_sqrt_len": _mean_sqrt_len,
    "weighted_mean": _weighted_mean,
}


def open_steps(checkpoint: str, folder: Path, encoder: SentenceEncoder) -> nn.Sequential:
    """What the checkpoint's pipeline does with a pooled row, in evaluation mode.

    Raises:
        CheckpointUnreadable: a step's weights are missing or misshapen, or its activation is none of torch's.
    """
    steps = [_opened(checkpoint, folder, step) for step in encoder.steps]
    if encoder.dimensions is not None:
        steps.append(_First(encoder.dimensions))
    return nn.Sequential(*steps).eval()


def _opened(checkpoint: str, folder: Path, step: PipelineStep) -> nn.Module:
    if step.kind == "Normalize":
        return _Normalise()
    name = f"{step.folder}/{STEP_WEIGHTS}"
    try:
        stored = {key: value.float() for key, value in load_file(folder / name).items()}
        return _layer_norm(stored) if step.kind == "LayerNorm" else _Dense(stored, step.config)
    except (OSError, KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise CheckpointUnreadable(f"{checkpoint}: {name} holds no {step.kind} step: {error}") from error


class _Normalise(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return functional.normalize(rows)


class _First(nn.Module):
    """The first features of a row."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions

    def forward(self, rows: Tensor) -> Tensor:
        return rows[:, : self.dimensions]


class _Dense(nn.Module):
    """A dense layer with its activation, and a residual where the configuration says so."""

    def __init__(self, stored: dict[str, Tensor], config: dict[str, Any]) -> None:
        super().__init__()
        # Sizes are those of the file and not what the configuration claims: a claim costs nothing and memory does.
        self.linear = _linear(stored, "linear")
        self.activation = _activation(config.get("activation_function", _DEFAULT_ACTIVATION))
        self.residual: nn.Module | None = None
        if config.get("use_residual") is True:
            self.residual = _linear(stored, "residual") if "residual.weight" in stored else nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        passed: Tensor = self.activation(self.linear(rows))
        return passed if self.residual is None else passed + self.residual(rows)


def _linear(stored: dict[str, Tensor], name: str) -> nn.Linear:
    weight, bias = stored[f"{name}.weight"], stored.get(f"{name}.bias")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return layer


def _layer_norm(stored: dict[str, Tensor]) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(stored["norm.weight"]))
    layer.load_state_dict({"weight": stored["norm.weight"], "bias": stored["norm.bias"]})
    return layer


def _activation(name: object) -> nn.Module:
    """One of torch's activation layers, by the path that sentence-transformers writes; nothing else is looked up."""
    if name in _IDENTITY:
        return nn.Identity()
    kind = getattr(nn.modules.activation, str(name).removeprefix(_ACTIVATIONS), None)
    if not str(name).startswith(_ACTIVATIONS) or not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"its activation '{str(name)[:100]}' is none of torch's")
    return kind()
