"""Linear probe: the backbone stands still in evaluation mode, and only the head is trained.

Source: Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
"""

from __future__ import annotations

import torch

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import LinearProbeOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, plain


def linear_probe(context: TuningContext[LinearProbeOptions]) -> Method:
    """Loss: cross-entropy of the head on features that do not change."""
    student = context.open_student()

    def loss(batch: Batch) -> Outcome:
        student.eval()
        with torch.no_grad():
            hidden = student.hidden(batch.views)
        logits = student.answer(hidden)
        return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)

    return Method(student, decaying(student.head(), HEAD_RATE), loss, student, plain(student))
