"""Layers of Zoo-Tuning: one convolution or linear map whose weights are mixed out of those of several checkpoints.

W(x) = sum_i a_i(x) T_i W_i for checkpoint i, with T_i an alignment of output channels (kernels larger than one position
only; it starts as the identity) and a_i(x) a gate computed from the pooled input. Biases are mixed by the same gates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

_REDUCTION = 4
# Weight of the last batch in the running mean of the gates.
GATE_MOMENTUM = 0.1
# How far a gate may go beyond 0 and 1. A plain sigmoid learns at 0.9999 with a ten-thousandth of its input's gradient,
# and so not at all; stretched by a quarter to either side its slope at 0 and at 1 is 0.21, near the largest of a plain
# one (0.25 at a half).
_STRETCH = 0.25


class Gates(nn.Module):
    """Pooled input (b, D) to gates (b, m): two layers, a quarter of the width between them, then a stretched sigmoid.

    A gate is (1 + 2 s) sigmoid(z) - s with s = 0.25, from -0.25 to 1.25. So it can start at exactly 0 or 1 and still
    learn: its slope there is s (1 + s) / (1 + 2 s) = 0.21. They start at `first`, numbers from 0 to 1, whatever the
    input.

    With `shared`, the lite form: all examples of a batch get the batch's mean, and evaluation uses the bias-corrected
    running mean of these, which no longer depends on the input.
    """

    running: Tensor
    batches: Tensor

    def __init__(self, inputs: int, first: Sequence[float], *, shared: bool) -> None:
        super().__init__()
        self.narrow = nn.Linear(inputs, max(1, inputs // _REDUCTION))
        self.decide = nn.Linear(self.narrow.out_features, len(first))
        nn.init.zeros_(self.decide.weight)
        with torch.no_grad():
            self.decide.bias.copy_(((torch.tensor(first) + _STRETCH) / (1 + 2 * _STRETCH)).logit())
        self.shared = shared
        self.register_buffer("running", torch.zeros(len(first)))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, pooled: Tensor) -> Tensor:
        """(b, m); with `shared` one row for all, (1, m)."""
        if self.shared and not self.training and self.batches > 0:
            return self.settled()[None]
        gates = _stretched_sigmoid(self.decide(torch.relu(self.narrow(pooled))))
        if not self.shared:
            return gates
        mean = gates.mean(dim=0)
        if self.training:
            with torch.no_grad():
                self.running.lerp_(mean.detach().float(), GATE_MOMENTUM)
                self.batches += 1
        return mean[None]

    def settled(self) -> Tensor:
        """(m,) the running mean, corrected for its start at zero; the first gates where no batch was seen."""
        if int(self.batches) == 0:
            return _stretched_sigmoid(self.decide.bias.detach())
        return self.running / (1 - (1 - GATE_MOMENTUM) ** self.batches)


def _stretched_sigmoid(decided: Tensor) -> Tensor:
    return (1 + 2 * _STRETCH) * torch.sigmoid(decided) - _STRETCH


class ZooLayer(nn.Module):
    """What convolutions and linear maps share: the checkpoints' weights (m, out, ...) and biases (m, out), aligned.

    T_i = I + A_i / s_i, with A_i learned from zero and s_i the largest singular value of W_i as a matrix of output
    channels: a step on T_i itself would move the weights by up to s_i^2 times what a step on W_i does, now by at most
    as much. For a thousand depthwise kernels of nine weights, which fill few directions, s_i^2 is in the thousands, and
    the steps no learning but noise. Weight decay then pulls T_i to the identity.
    """

    step: Tensor

    def __init__(self, layers: Sequence[Any], inputs: int, first: Sequence[float], *, shared: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(_on_one_scale([layer.weight.detach() for layer in layers]))
        has_bias = layers[0].bias is not None
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers])) if has_bias else None
        m, out = self.weight.shape[:2]
        has_extent = math.prod(self.weight.shape[3:]) > 1
        self.alignment = nn.Parameter(torch.zeros(m, out, out)) if has_extent else None
        largest = torch.linalg.matrix_norm(self.weight.detach().flatten(2), ord=2)
        self.register_buffer("step", 1 / largest.clamp_min(1e-12).reshape(m, 1, 1))
        self.gates = Gates(inputs, first, shared=shared)

    def mixed(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weights (g, out, ...) and biases (g, out) for gates (g, m)."""
        aligned = self.weight.flatten(2)
        if self.alignment is not None:
            aligned = aligned + self.step * (self.alignment @ aligned)
        weight = torch.einsum("gm,mok->gok", gates, aligned).reshape(-1, *self.weight.shape[1:])
        return weight, None if self.bias is None else gates @ self.bias


class ZooConv2d(ZooLayer):
    """A convolution with weights of its own for each example, run as one grouped convolution."""

    def __init__(self, layers: Sequence[nn.Conv2d], first: Sequence[float], *, shared: bool) -> None:
        like = layers[0]
        super().__init__(layers, like.in_channels, first, shared=shared)
        self.stride, self.padding, self.dilation, self.groups = like.stride, like.padding, like.dilation, like.groups
        self.kernel_size = like.kernel_size  # what pads images before it asks for this
        self.pads_as_needed = isinstance(like, Conv2dSame)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, in, H, W) to (b, out, H', W')."""
        weight, bias = self.mixed(self.gates(inputs.mean(dim=(2, 3))))
        if self.pads_as_needed:
            inputs = pad_same(inputs, list(weight.shape[-2:]), list(self.stride), list(self.dilation))
        if len(weight) == 1:
            return self._convolve(inputs, weight[0], None if bias is None else bias[0], self.groups)
        b = len(inputs)
        together = self._convolve(
            inputs.reshape(1, -1, *inputs.shape[2:]),
            weight.flatten(0, 1),
            None if bias is None else bias.flatten(),
            b * self.groups,
        )
        return together.reshape(b, -1, *together.shape[2:])

    def _convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        return nn.functional.conv2d(inputs, weight, bias, self.stride, self.padding, self.dilation, groups)


class ZooLinear(ZooLayer):
    """A linear map with weights of its own for each example; positions between batch and features are pooled over."""

    def __init__(self, layers: Sequence[nn.Linear], first: Sequence[float], *, shared: bool) -> None:
        super().__init__(layers, layers[0].in_features, first, shared=shared)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, ..., in) to (b, ..., out)."""
        flat = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        weight, bias = self.mixed(self.gates(flat.mean(dim=1)))
        answered = flat @ weight.transpose(1, 2)
        if bias is not None:
            answered = answered + bias[:, None]
        return answered.reshape(*inputs.shape[:-1], -1)


def replaceable(layer: nn.Module) -> bool:
    """Whether the layer is a plain convolution or linear map; others change their weights before using them."""
    return type(layer) in (nn.Conv2d, Conv2dSame, nn.Linear)


def _on_one_scale(weights: Sequence[Tensor]) -> Tensor:
    """(m, out, ...) with each output channel as long as the first checkpoint's.

    A layer before a normalisation may have any scale, and conversions leave very different ones behind: without this a
    tenth of one checkpoint's weights can drown nine tenths of another's.
    """
    stacked = torch.stack(list(weights))
    lengths = stacked.flatten(2).norm(dim=2)
    ratio = lengths[0] / lengths.clamp_min(1e-12)
    on_one_scale: Tensor = stacked * ratio.reshape(*ratio.shape, *[1] * (stacked.ndim - 2))
    return on_one_scale


def zoo_layer(layers: Sequence[Any], first: Sequence[float], *, shared: bool) -> ZooLayer:
    """One layer out of the checkpoints' own at one place, its gates starting at `first`."""
    kind = ZooLinear if isinstance(layers[0], nn.Linear) else ZooConv2d
    return kind(layers, first, shared=shared)
