"""MDD: a second classifier looks for disagreement with the first on the target, and the features leave it none.

Source: Zhang et al., "Bridging Theory and Algorithm for Domain Adaptation", ICML 2019, equations 28 to 30.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.reversal import reverse_gradient, warmed_up
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import MDDOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, plain, rates


class _WithAdversary(nn.Module):
    def __init__(self, student: Classifier, adversary: nn.Linear) -> None:
        super().__init__()
        self.student = student
        self.adversary = adversary


def mdd(context: TuningContext[MDDOptions]) -> Method:
    """Loss: cross-entropy on the source + the disparity that the adversary finds, reversed before the features."""
    options = context.options
    student = context.open_student()
    dimension = context.feature_dimension(student)
    adversary = nn.Linear(dimension, context.classes)
    module = _WithAdversary(student, adversary)

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        target_features, target_logits = student.both(batch.target)
        strength = options.strength * warmed_up(batch.progress)
        disparity = margin_disparity(
            adversary(reverse_gradient(features, strength)),
            logits,
            adversary(reverse_gradient(target_features, strength)),
            target_logits,
            options.margin,
        )
        return Outcome({"task": cross_entropy(logits, batch.labels), "disparity": disparity}, logits)

    groups = [*rates(student), *decaying(adversary.parameters(), HEAD_RATE)]
    return Method(module, groups, loss, student, plain(student))


def margin_disparity(
    source_doubt: Tensor, source_logits: Tensor, target_doubt: Tensor, target_logits: Tensor, margin: float
) -> Tensor:
    """gamma E_source -log p'(h) + E_target -log(1 - p'(h)): p' the adversary's probability of the first's answer h.

    Going down, the adversary agrees with the first classifier on the source and disagrees on the target.
    """
    agreed = nn.functional.cross_entropy(source_doubt, source_logits.argmax(dim=1))
    log_probability = torch.log_softmax(target_doubt, dim=1)
    answered = log_probability.gather(1, target_logits.argmax(dim=1, keepdim=True))[:, 0]
    disagreed = -torch.log1p(-answered.exp().clamp_max(1 - 1e-6)).mean()
    return margin * agreed + disagreed
