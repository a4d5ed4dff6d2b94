"""DELTA: feature maps stay near those of the pretrained network, channels that matter for the labels most of all.

Li et al., "DELTA: Deep Learning Transfer using Feature Map with Attention for Convolutional Networks", ICLR 2019. The
regulariser is sum_layers sum_j a_j |FM_j(w, x) - FM_j(w0, x)|^2 on the output of each stage, with attention a over a
layer's channels, and the head alone decays. As in the authors' code, attention is C times the softmax of the channels'
standardised importances divided by five, and distances are means over positions: a strength then suits layers and
images of any size.

Done otherwise: the paper switches off one channel at a time, retrains nothing and takes the growth of the loss for the
channel's importance, one pass over the data a channel; here that growth is estimated to first order for all channels
at once, |sum over positions of -FM_j dL/dFM_j|, mean over examples, from one backward pass; and L is the loss of
LogME's linear model on the frozen features, not that of a head trained for it.
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
# Of the softmax over importances of deviation one: the most important channels count a few times more than the least.
_TEMPERATURE = 5.0


def delta(context: TuningContext[DeltaOptions]) -> Method:
    """Loss: cross-entropy + lambda sum_layers sum_j a_j |FM_j - FM0_j|^2 + beta/2 |head|^2.

    The squares are means over positions and examples.
    """
    options = context.options
    student, pretrained = context.open_student(), context.open_student()
    pretrained.requires_grad_(False)
    attentions = [attention(found) for found in _importance(context)]
    head = student.head()

    def loss(batch: Batch) -> Outcome:
        pretrained.eval()
        with torch.no_grad(), feature_maps(pretrained) as kept:
            pretrained.hidden(batch.views)
        with feature_maps(student) as maps:
            logits = student(batch.views)
        apart = [
            (weights.to(now.device) * (now - before).square().mean(dim=1)).sum(dim=1).mean()
            for weights, now, before in zip(attentions, maps(), kept(), strict=True)
        ]
        parts = {
            "task": cross_entropy(logits, batch.labels),
            "maps": options.strength * torch.stack(apart).sum(),
            "decay": options.head_strength / 2 * squared_norm(head),
        }
        return Outcome(parts, logits)

    groups = [*decaying([weight for _, weight in student.backbone()], decay=0.0), *decaying(head, HEAD_RATE, 0.0)]
    return Method(student, groups, loss, student, plain(student), frozen=[pretrained])


def attention(importance: Tensor) -> Tensor:
    """(C,) with sum C: C softmax((importance - mean) / deviation / 5), one everywhere where all are alike.

    Example:
        >>> attention(torch.tensor([1.0, 3.0])).tolist()  # 2 / (1 + exp(0.4)), 2 / (1 + exp(-0.4))
        [0.8026..., 1.1973...]
    """
    standardised = (importance - importance.mean()) / importance.std(correction=0).clamp_min(1e-30)
    return len(importance) * torch.softmax(standardised / _TEMPERATURE, dim=0)


@contextmanager
def stage_outputs(classifier: Classifier) -> Iterator[Callable[[], list[Tensor]]]:
    """What the stages of the network put out in the passes inside the block, as it lies in the graph of the pass.

    Raises:
        StudentUnsupported: timm does not say what the stages of this architecture are.
    """
    network: Any = classifier.network
    stages = [entry["module"] for entry in getattr(network, "feature_info", [])]
    if not stages:
        raise StudentUnsupported(f"timm names no stages of {classifier.description.architecture}, which DELTA needs")
    found: dict[str, Tensor] = {}

    def remember(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _arguments: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(remember(name)) for name in stages]
    try:
        yield lambda: [found[name] for name in stages]
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def feature_maps(classifier: Classifier) -> Iterator[Callable[[], list[Tensor]]]:
    """The same as (b, positions, channels) each."""
    with stage_outputs(classifier) as outputs:
        yield lambda: [_as_positions(output, classifier) for output in outputs()]


def _as_positions(output: Tensor, classifier: Classifier) -> Tensor:
    """(b, positions, channels) of (b, C, H, W), of (b, H, W, C), or of tokens (b, t, C)."""
    network: Any = classifier.network
    channels_last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
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
        with stage_outputs(reader) as outputs:
            answered = reader.features(images.plain(rows)) @ weights
        wanted = torch.zeros_like(answered)
        wanted[torch.arange(len(rows)), [columns[int(label)] for label in images.labels[rows]]] = 1.0
        loss = (answered - wanted).square().sum()
        stages = outputs()
        for place, (stage, gradient) in enumerate(zip(stages, torch.autograd.grad(loss, stages), strict=True)):
            growth = _as_positions(stage * gradient, reader).sum(dim=1).abs().sum(dim=0).detach()
            if place == len(total):
                total.append(torch.zeros_like(growth))
            total[place] += growth
    return [found / len(images) for found in total]
