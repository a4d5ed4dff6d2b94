"""BSS: small singular values of a batch's features are where pretrained knowledge does not transfer; they are shrunk.

Source: Chen et al., "Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe Transfer
Learning", NeurIPS 2019, equation 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import BSSOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, plain, rates


def bss(context: TuningContext[BSSOptions]) -> Method:
    """Loss: cross-entropy + eta sum of the squares of the k smallest singular values of the batch's features (b, D)."""
    options = context.options
    student = context.open_student()

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        shrinkage = options.strength * smallest_squared_singular_values(features, options.values)
        return Outcome({"task": cross_entropy(logits, batch.labels), "shrinkage": shrinkage}, logits)

    return Method(student, rates(student), loss, student, plain(student))


def smallest_squared_singular_values(features: Tensor, count: int) -> Tensor:
    """Sum of the squares of the `count` smallest singular values of (b, D); all of them where there are fewer.

    Only values are asked for, whose derivative u v' exists even where two of them are equal.
    """
    values: Tensor = torch.linalg.svdvals(features.float())
    return values[-count:].square().sum()
