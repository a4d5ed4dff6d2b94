"""Full fine-tuning: every weight is trained, the new head at ten times the backbone's rate.

Source: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014.
"""

from __future__ import annotations

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import FinetuneOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, plain, rates


def finetune(context: TuningContext[FinetuneOptions]) -> Method:
    """Loss: cross-entropy."""
    student = context.open_student()

    def loss(batch: Batch) -> Outcome:
        logits = student(batch.views)
        return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)

    return Method(student, rates(student), loss, student, plain(student))
