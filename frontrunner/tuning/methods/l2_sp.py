"""L2-SP: backbone weights decay towards where pretraining left them, the head's towards zero.

Source: Li, Grandvalet & Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML
2018, equation 3.
"""

from __future__ import annotations

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.anchors import Anchors, squared_norm
from frontrunner.tuning.options import L2SPOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, RateGroup, cross_entropy, plain


def l2_sp(context: TuningContext[L2SPOptions]) -> Method:
    """Loss: cross-entropy + alpha/2 |w - w0|^2 + beta/2 |head|^2; no other decay."""
    options = context.options
    student = context.open_student()
    backbone, head = [weight for _, weight in student.backbone()], student.head()
    anchors = Anchors(backbone)

    def loss(batch: Batch) -> Outcome:
        logits = student(batch.views)
        parts = {
            "task": cross_entropy(logits, batch.labels),
            "pull": options.strength / 2 * anchors() + options.head_strength / 2 * squared_norm(head),
        }
        return Outcome(parts, logits)

    groups = [RateGroup(backbone, 1.0, 0.0), RateGroup(head, HEAD_RATE, 0.0)]
    return Method(student, groups, loss, student, plain(student), frozen=[anchors])
