"""DELTA: feature maps stay near those of the pretrained network, channels that matter for the labels most of all.

Li et al., "DELTA: Deep Learning Transfer using Feature Map with Attention for Convolutional Networks", ICLR 2019. Taken
from it: the behavioural regulariser sum_layers sum_j a_j |FM_j(w, x) - FM_j(w0, x)|^2 on the output of each stage with
attention a = softmax over a layer's channels, and the decay of the head alone. Done otherwise: the paper switches off
one channel at a time, retrains nothing and takes the growth of the loss for the channel's importance, one pass over the
data a channel; here that growth is estimated to first order for all channels at once, |sum over positions of
-FM_j dL/dFM_j|, mean over examples, from one backward pass; and L is the loss of LogME's linear model on the frozen
features, not that of a head trained for it. Importances are scaled to mean one before the softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from frontrunner.errors import StudentUnsupported
from frontrunner.scores.posterior import posterior
from frontrunner.statistics import FeatureStatistics
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.anchors import squared_norm
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import DeltaOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, plain

_AT_ONCE = 16


def delta(context: TuningContext[DeltaOptions]) -> Method:
    """Loss: cross-entropy + lambda sum_layers sum_j a_j |FM_j - FM0_j|^2 (mean over examples) + beta/2 |head|^2."""
    options = context.options
    student, pretrained = context.open_student(), context.open_student()
    pretrained.requires_grad_(False)
    attention = [torch.softmax(found / found.mean().clamp_min(1e-30), dim=0) for found in _importance(context)]
    head = student.head()

    def loss(batch: Batch) -> Outcome:
        pretrained.eval()
        with torch.no_grad(), feature_maps(pretrained) as kept:
            pretrained.hidden(batch.views)
        with feature_maps(student) as maps:
            logits = student(batch.views)
        apart = [
            (weights.to(now.device) * (now - before).square().sum(dim=1)).sum(dim=1).mean()
            for weights, now, before in zip(attention, maps(), kept(), strict=True)
        ]
        parts = {
            "task": cross_entropy(logits, batch.labels),
            "maps": options.strength * torch.stack(apart).sum(),
            "decay": options.head_strength / 2 * squared_norm(head),
        }
        return Outcome(parts, logits)

    groups = [*decaying([weight for _, weight in student.backbone()], decay=0.0), *decaying(head, HEAD_RATE, 0.0)]
    return Method(student, groups, loss, student, plain(student), frozen=[pretrained])


@contextmanager
def feature_maps(classifier: Classifier) -> Iterator[Callable[[], list[Tensor]]]:
    """What the stages of the network put out in the passes inside the block: (b, positions, channels) each.

    Raises:
        StudentUnsupported: timm does not say what the stages of this architecture are.
    """
    network: Any = classifier.network
    stages = [entry["module"] for entry in getattr(network, "feature_info", [])]
    if not stages:
        raise StudentUnsupported(f"timm names no stages of {classifier.description.architecture}, which DELTA needs")
    channels_last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
    found: dict[str, Tensor] = {}

    def remember(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _arguments: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(remember(name)) for name in stages]
    try:
        yield lambda: [_as_positions(found[name], channels_last) for name in stages]
    finally:
        for hook in hooks:
            hook.remove()


def _as_positions(output: Tensor, channels_last: bool) -> Tensor:
    """(b, positions, channels) of (b, C, H, W), of (b, H, W, C), or of tokens (b, t, C)."""
    if output.ndim == 4 and not channels_last:
        return output.flatten(2).transpose(1, 2)
    return output.flatten(1, -2)


def _importance(context: TuningContext[DeltaOptions]) -> list[Tensor]:
    """(channels,) of each stage: how much the loss would grow, to first order, were the channel switched off."""
    features = context.extract(context.pretrained).features
    model = posterior(FeatureStatistics().update(features, labels=context.train.labels.numpy()))
    weights = torch.from_numpy(model.mean).float()
    columns = {label: column for column, label in enumerate(model.classes or ())}
    reader, images = context.open_student().eval(), context.sample(context.options.importance_examples)
    total: list[Tensor] = []
    for rows in torch.split(torch.arange(len(images)), _AT_ONCE):
        with feature_maps(reader) as maps:
            answered = reader.features(images.plain(rows)) @ weights
        wanted = torch.zeros_like(answered)
        wanted[torch.arange(len(rows)), [columns[int(label)] for label in images.labels[rows]]] = 1.0
        loss = (answered - wanted).square().sum()
        stages = maps()
        for place, (stage, gradient) in enumerate(
            zip(stages, torch.autograd.grad(loss, stages, allow_unused=True), strict=True)
        ):
            growth = (
                torch.zeros(stage.shape[-1]) if gradient is None else (stage * gradient).sum(dim=1).abs().sum(dim=0)
            )
            if place == len(total):
                total.append(torch.zeros_like(growth))
            total[place] += growth.detach()
    return [found / len(images) for found in total]
