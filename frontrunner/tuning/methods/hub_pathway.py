"""Hub-Pathway: each image goes through k of the checkpoints, chosen for it, and their answers are mixed.

Shu et al., "Hub-Pathway: Transfer Learning from A Hub of Pre-trained Models", NeurIPS 2022; the noisy choice of k is
that of Shazeer et al., ICLR 2017. A small convolutional generator sees the image at a low resolution and gives every
checkpoint a logit; in training normal noise is added, scaled by a learned softplus; the k largest are kept and their
softmax are the path's weights. Done otherwise than there: what is mixed are the answers of the checkpoints' own heads,
which is a linear aggregation of their features whatever these look like, so one head serves the path and the
exploitation loss; the entropy of exploration is that of all logits' softmax.

A checkpoint runs on the images that chose it and on no other, so cost follows k and not the hub. The statistics of
normalisation layers stay as pretrained: a handful of chosen images is no batch to measure them on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from frontrunner.errors import TuningError
from frontrunner.tuning.classifier import Classifier
from frontrunner.tuning.material import Material
from frontrunner.tuning.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, rates
from frontrunner.tuning.options import HubPathwayOptions

# Pixels a side that the generator sees, and its width.
_GLANCE = 32
_WIDTH = 16


def hub_pathway(material: Material) -> Method:
    """Loss: cross-entropy of the mixture - exploration H(mean weights) + exploitation (each chosen one's own)."""
    options = material.options
    assert isinstance(options, HubPathwayOptions)  # noqa: S101 - the registry pairs them
    members = replace(material, hold_statistics=True).open_teachers()
    if options.paths > len(members):
        raise TuningError(f"paths is {options.paths}, and there are {len(members)} teachers to choose from")
    pathway = Pathway(members, options.paths)

    def loss(batch: Batch) -> Outcome:
        taken = pathway.take(batch.pixels)
        own = [
            cross_entropy(taken.each[place][taken.chose[:, place]], batch.labels[taken.chose[:, place]])
            * taken.chose[:, place].float().mean()
            for place in range(len(members))
            if bool(taken.chose[:, place].any())
        ]
        parts = {
            "task": cross_entropy(taken.logits, batch.labels),
            "exploration": -options.exploration * entropy(taken.inclination.mean(dim=0)),
            "exploitation": options.exploitation * torch.stack(own).sum() / options.paths,
        }
        return Outcome(parts, taken.logits)

    groups = [group for member in members for group in rates(member)]
    groups += decaying(pathway.generator.parameters(), HEAD_RATE)
    return Method(
        pathway,
        groups,
        loss,
        pathway,
        lambda: {f"member-{place}": member for place, member in enumerate(members)},
    )


class Generator(nn.Module):
    """An image at a low resolution to (b, m) path logits and, in training, the scale of their noise."""

    def __init__(self, checkpoints: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.AdaptiveAvgPool2d(_GLANCE),
            nn.Conv2d(3, _WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.prefer = nn.Linear(2 * _WIDTH, checkpoints)
        self.doubt = nn.Linear(2 * _WIDTH, checkpoints)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (b, m) from pixels in [0, 1]; noisy in training mode."""
        seen = self.see(pixels - 0.5)
        logits: Tensor = self.prefer(seen)
        if self.training:
            logits = logits + torch.randn_like(logits) * nn.functional.softplus(self.doubt(seen))
        return logits


class Taken:
    """The paths of one batch.

    Attributes:
        logits: (b, C) of the mixtures.
        each: m times (b, C), zero where the checkpoint was not chosen.
        chose: (b, m) whether the image went through the checkpoint.
        inclination: (b, m) softmax of all logits.
    """

    def __init__(self, logits: Tensor, each: list[Tensor], chose: Tensor, inclination: Tensor) -> None:
        self.logits, self.each, self.chose, self.inclination = logits, each, chose, inclination


class Pathway(nn.Module):
    """Checkpoints and the generator that chooses `paths` of them for each image."""

    def __init__(self, members: list[Classifier], paths: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.generator = Generator(len(members))
        self.paths = paths

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (b, C)."""
        return self.take(pixels).logits

    def take(self, pixels: Tensor) -> Taken:
        """Choose, run and mix."""
        inclined: Tensor = self.generator(pixels)
        kept = inclined.topk(self.paths, dim=1)
        weights = torch.zeros_like(inclined).scatter(1, kept.indices, kept.values.softmax(dim=1))
        chose = torch.zeros_like(inclined, dtype=torch.bool).scatter(1, kept.indices, True)
        each: list[Tensor] = []
        for place, member in enumerate(self.members):
            rows = chose[:, place].nonzero()[:, 0]
            answered = member(pixels[rows]) if len(rows) else pixels.new_zeros(0, self._classes())
            each.append(answered.new_zeros(len(pixels), answered.shape[1]).index_copy(0, rows, answered))
        logits = torch.stack([weights[:, place, None] * one for place, one in enumerate(each)]).sum(dim=0)
        return Taken(logits, each, chose, inclined.softmax(dim=1))

    def _classes(self) -> int:
        first = self.members[0]
        assert isinstance(first, Classifier)  # noqa: S101 - made so
        return int(first.network.num_classes)


def entropy(shares: Tensor) -> Tensor:
    """-sum p log p of (m,), nats."""
    return -(shares * shares.clamp_min(1e-12).log()).sum()
