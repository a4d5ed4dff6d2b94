"""EWC: weights that the checkpoint's own task depends on are held harder.

Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, equation 3. The source's images
are not at hand; its Fisher needs inputs only, with labels from the checkpoint's own predictions, so it is measured on
the target's images. It is scaled to mean one, so that its strength is L2-SP's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from frontrunner.errors import StudentUnsupported
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.anchors import Anchors
from frontrunner.tuning.networks.image_classifier import Normalise
from frontrunner.tuning.options import EWCOptions
from frontrunner.tuning.randomness import NOISE, generator_at
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, plain, rates


def ewc(context: TuningContext[EWCOptions]) -> Method:
    """Loss: cross-entropy + lambda/2 sum_j F_j (w_j - w0_j)^2 over the backbone."""
    options = context.options
    student = context.open_student()
    names = [name for name, _ in student.backbone()]
    anchors = Anchors([weight for _, weight in student.backbone()], _fisher(context, names))

    def loss(batch: Batch) -> Outcome:
        logits = student(batch.views)
        parts = {"task": cross_entropy(logits, batch.labels), "pull": options.strength / 2 * anchors()}
        return Outcome(parts, logits)

    return Method(student, rates(student, backbone_decay=0.0), loss, student, plain(student), frozen=[anchors])


def _fisher(context: TuningContext[EWCOptions], names: Sequence[str]) -> list[Tensor]:
    """The Fisher of the checkpoint as pretrained, a tensor for each named weight, mean one."""
    description, size = context.pretrained, context.images.image_size
    checkpoint = context.open_at_size(description)
    if checkpoint.forward(torch.zeros(1, 3, size, size)).source_logits is None:
        raise StudentUnsupported(f"{description.id} has no classifier of its own, whose Fisher EWC needs; try l2_sp")
    network: nn.Module = checkpoint.module.eval()
    normalise = Normalise.of(checkpoint)
    weights = [network.get_parameter(name) for name in names]
    images = context.sample(context.options.fisher_examples)
    inputs = (normalise(images.plain(row[None])) for row in torch.arange(len(images)))
    generator = generator_at(context.seed, NOISE, 0)

    def logits_of(pixels: Tensor) -> Tensor:
        logits = checkpoint.forward(pixels).source_logits
        assert logits is not None  # noqa: S101 - asked above
        return logits

    fisher = diagonal_fisher(logits_of, weights, inputs, draws=1, generator=generator)
    mean = sum(float(part.sum()) for part in fisher) / sum(part.numel() for part in fisher)
    return [part / max(mean, 1e-30) for part in fisher]


def diagonal_fisher(
    logits_of: Callable[[Tensor], Tensor],
    weights: Sequence[nn.Parameter],
    inputs: object,
    *,
    draws: int | None,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """E_x E_{y ~ p(.|x)} (d log p(y|x) / dw_j)^2 for every weight.

    Args:
        logits_of: one example (1, ...) to logits (1, C).
        weights: what the derivative is taken by.
        inputs: examples, one at a time: squares of single gradients do not add up over a batch.
        draws: labels drawn for each example, one backward pass each; None for the exact sum over all classes.
        generator: of the draws.
    """
    total = [torch.zeros_like(weight) for weight in weights]
    examples = 0
    for example in inputs:  # type: ignore[attr-defined]
        log_probabilities = torch.log_softmax(logits_of(example)[0], dim=0)
        probabilities = log_probabilities.detach().exp()
        if draws is None:
            labels, shares = torch.arange(len(probabilities)), probabilities
        else:
            labels = torch.multinomial(probabilities, draws, replacement=True, generator=generator)
            shares = torch.full((draws,), 1 / draws)
        for label, share in zip(labels.tolist(), shares.tolist(), strict=True):
            gradients = torch.autograd.grad(
                log_probabilities[label], list(weights), retain_graph=True, allow_unused=True
            )
            for place, gradient in zip(total, gradients, strict=True):
                if gradient is not None:
                    place.add_(gradient.square(), alpha=share)
        examples += 1
    return [part / examples for part in total]
