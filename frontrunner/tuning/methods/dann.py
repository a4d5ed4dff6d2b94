"""DANN: a classifier learns to tell source from target, and the features learn that it cannot.

Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17 (2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.reversal import reverse_gradient, warmed_up
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import DANNOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, plain, rates

_WIDTH = 256


class _WithCritic(nn.Module):
    def __init__(self, student: Classifier, critic: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.critic = critic


def dann(context: TuningContext[DANNOptions]) -> Method:
    """Loss: cross-entropy on the source + the domain classifier's, whose gradient is reversed before the features."""
    options = context.options
    student = context.open_student()
    dimension = context.feature_dimension(student)
    critic = nn.Sequential(nn.Linear(dimension, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 1))
    module = _WithCritic(student, critic)

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        strength = options.strength * warmed_up(batch.progress)
        domains = domain_loss(critic, features, student.features(batch.target), strength)
        return Outcome({"task": cross_entropy(logits, batch.labels), "domains": domains}, logits)

    groups = [*rates(student), *decaying(critic.parameters(), HEAD_RATE)]
    return Method(module, groups, loss, student, plain(student))


def domain_loss(critic: nn.Module, source: Tensor, target: Tensor, strength: float) -> Tensor:
    """How badly the critic tells (n, D) from (m, D); going down for the critic, up for the features."""
    judged = critic(reverse_gradient(torch.cat([source, target]), strength))[:, 0]
    truth = torch.cat([torch.ones(len(source)), torch.zeros(len(target))]).to(judged.device)
    return nn.functional.binary_cross_entropy_with_logits(judged, truth)
