"""Ensemble: every teacher is fine-tuned by itself, side by side; the mean of their probabilities decides.

Their losses are added and share no weight, so each follows the gradient that it would follow alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import EnsembleOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, rates


def ensemble(context: TuningContext[EnsembleOptions]) -> Method:
    """Loss: the sum of the members' cross-entropies."""
    members = context.open_teachers()
    module = nn.ModuleList(members)

    def loss(batch: Batch) -> Outcome:
        each = [member(batch.views) for member in members]
        parts = {f"task {place}": cross_entropy(logits, batch.labels) for place, logits in enumerate(each)}
        return Outcome(parts, log_mean_probability(each))

    return Method(
        module,
        [group for member in members for group in rates(member)],
        loss,
        lambda pixels: log_mean_probability([member(pixels) for member in members]),
        lambda: {f"member-{place}": member for place, member in enumerate(members)},
    )


def log_mean_probability(logits: list[Tensor]) -> Tensor:
    """(b, C) the logarithm of the mean of the members' probabilities: logits again, whose softmax is that mean."""
    each = torch.stack([torch.log_softmax(one, dim=1) for one in logits])
    return torch.logsumexp(each, dim=0) - math.log(len(logits))
