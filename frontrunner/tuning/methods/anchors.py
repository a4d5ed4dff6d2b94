"""Weights that are pulled back to where they began; L2-SP and EWC differ in how hard each one is pulled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Anchors(nn.Module):
    """sum_j f_j (w_j - w0_j)^2 over the given weights, with w0 as they are now.

    Args:
        weights: that are trained.
        importance: f, shaped like the weights; one everywhere by default.
    """

    def __init__(self, weights: Sequence[nn.Parameter], importance: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self._weights = list(weights)
        for index, weight in enumerate(weights):
            self.register_buffer(f"start{index}", weight.detach().clone(), persistent=False)
            if importance is not None:
                self.register_buffer(f"importance{index}", importance[index], persistent=False)
        self._weighted = importance is not None

    def forward(self) -> Tensor:
        """The sum, a scalar."""
        terms = []
        for index, weight in enumerate(self._weights):
            squared = (weight - self.get_buffer(f"start{index}")).square()
            terms.append((self.get_buffer(f"importance{index}") * squared).sum() if self._weighted else squared.sum())
        return torch.stack(terms).sum()


def squared_norm(weights: Sequence[nn.Parameter]) -> Tensor:
    """sum_j w_j^2."""
    return torch.stack([weight.square().sum() for weight in weights]).sum()
