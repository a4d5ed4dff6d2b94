"""LwF: the student keeps giving the checkpoint's old answers to the target's images while it learns the new classes.

Li & Hoiem, "Learning without Forgetting", ECCV 2016. The old answers are those to the plain views, recorded once; the
old classifier goes on beside the new head and is dropped at the end.
"""

from __future__ import annotations

import torch
from torch import nn

from frontrunner.errors import StudentUnsupported
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.networks.new_heads import own_linear_classifier
from frontrunner.tuning.options import LwFOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, decaying, divergence, plain, rates


class _WithOldHead(nn.Module):
    def __init__(self, student: Classifier, old: nn.Linear) -> None:
        super().__init__()
        self.student = student
        self.old = old


def lwf(context: TuningContext[LwFOptions]) -> Method:
    """Loss: cross-entropy + lambda T^2 KL(old answers || new ones), both softened by T."""
    options = context.options
    student, description = context.open_student(), context.pretrained
    old = own_linear_classifier(context.open_at_size(description), context.images.image_size)
    recorded = context.extract(description).source_probabilities
    if recorded is None or old is None:
        raise StudentUnsupported(f"{description.id} has no linear classifier of its own, whose answers LwF keeps")
    # softmax(log p / T) = softmax(logits / T): the constant between them cancels.
    wanted = torch.softmax(torch.from_numpy(recorded).clamp_min(1e-30).log() / options.temperature, dim=1)
    module = _WithOldHead(student, old)

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        kept = divergence(old(features), wanted[batch.rows].to(logits.device), options.temperature)
        return Outcome({"task": cross_entropy(logits, batch.labels), "old": options.strength * kept}, logits)

    return Method(module, [*rates(student), *decaying(old.parameters())], loss, student, plain(student))
