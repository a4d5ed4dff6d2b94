"""DAN: features of the labelled source and the unlabelled target are brought to one distribution.

Source: Long et al., "Learning Transferable Features with Deep Adaptation Networks", ICML 2015; the discrepancy is that
of Gretton et al., JMLR 2012, with five Gaussian kernels around the median distance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import DANOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, plain, rates

_BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def dan(context: TuningContext[DANOptions]) -> Method:
    """Loss: cross-entropy on the source + lambda MMD^2(source's features, target's features)."""
    options = context.options
    student = context.open_student()

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        apart = squared_mmd(features, student.features(batch.target))
        return Outcome({"task": cross_entropy(logits, batch.labels), "mmd": options.strength * apart}, logits)

    return Method(student, rates(student), loss, student, plain(student))


def squared_mmd(first: Tensor, second: Tensor) -> Tensor:
    """MMD^2 of (n, D) and (m, D) under the mean of five Gaussian kernels; at least 0, biased (V-statistic)."""
    both = torch.cat([first, second]).float()
    squared = torch.cdist(both, both).square()
    median = squared.detach()[~torch.eye(len(both), dtype=torch.bool, device=both.device)].median().clamp_min(1e-12)
    kernel = torch.stack([torch.exp(-squared / (factor * median)) for factor in _BANDWIDTHS]).mean(dim=0)
    n = len(first)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
