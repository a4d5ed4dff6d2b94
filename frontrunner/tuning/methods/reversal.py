"""Gradient reversal: the identity going forward, minus a strength times the gradient going back.

Source: Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, inputs: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return inputs.view_as(inputs)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(inputs: Tensor, strength: float) -> Tensor:
    """`inputs`, whose gradient comes back times -strength."""
    reversed_: Tensor = _Reversal.apply(inputs, strength)
    return reversed_


def warmed_up(progress: float) -> float:
    """2 / (1 + e^(-10 p)) - 1: from 0 to 1 over the training, so that features are fit before they are confused."""
    return 2 / (1 + math.exp(-10 * progress)) - 1
