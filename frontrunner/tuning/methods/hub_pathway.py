"""Hub-Pathway: each image goes through k of the checkpoints, chosen for it, and their answers are mixed.

Shu et al., "Hub-Pathway: Transfer Learning from A Hub of Pre-trained Models", NeurIPS 2022; the noisy choice of k is
that of Shazeer et al., ICLR 2017. A small convolutional generator sees the image at a low resolution and gives every
checkpoint a logit; in training normal noise is added, scaled by a learned softplus; the k largest are kept and their
softmax are the path's weights. Done otherwise than there: what is mixed are the answers of the checkpoints' own heads,
which is a linear aggregation of their features whatever these look like, so one head serves the path and the
exploitation loss; the entropy of exploration is that of all logits' softmax. Of a text the generator sees hashed words.

A checkpoint runs on the images that chose it and on no other, so cost follows k and not the hub. The statistics of
normalisation layers stay as pretrained: a handful of chosen images is no batch to measure them on.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frontrunner.errors import TuningError
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.examples import Texts, Views
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import HubPathwayOptions
from frontrunner.tuning.training.method import HEAD_RATE, Batch, Method, Outcome, cross_entropy, decaying, rates

# What the generator sees: pixels a side, or rows of a table of words; and its width.
_GLANCE = 32
_WORDS = 4096
_WIDTH = 32


def hub_pathway(context: TuningContext[HubPathwayOptions]) -> Method:
    """Loss: cross-entropy of the mixture - exploration H(mean weights) + exploitation (each chosen one's own)."""
    options = context.options
    members = replace(context, hold_statistics=True).open_teachers()
    if options.paths > len(members):
        raise TuningError(f"paths is {options.paths}, and there are {len(members)} teachers to choose from")
    pathway = Pathway(members, options.paths, context.classes)

    def loss(batch: Batch) -> Outcome:
        taken = pathway.take(batch.views)
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
        teacher_weights=lambda views: dict(
            zip((member.description.id for member in members), mean_weights(pathway, views).tolist(), strict=True)
        ),
    )


def mean_weights(pathway: Pathway, views: Views) -> Tensor:
    """(m,) mean weight of each checkpoint in the paths of b examples; leaves the pathway in evaluation mode."""
    with torch.no_grad():
        return pathway.eval().choose(views).weights.mean(dim=0)


class Glance(nn.Module):
    """An image at a low resolution: pixels (b, 3, S, S) in [0, 1] to (b, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.AdaptiveAvgPool2d(_GLANCE),
            nn.Conv2d(3, width // 2, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, width)."""
        seen: Tensor = self.see(pixels - 0.5)
        return seen


class Skim(nn.Module):
    """The words of a text, whatever their order: b texts to (b, width). Words share rows of a table by their hash."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(_WORDS, width, mode="mean")

    def forward(self, texts: Texts) -> Tensor:
        """(b, width)."""
        rows = [_hashed(text) for text in texts.firsts]
        if texts.seconds is not None:
            rows = [row + _hashed(text) for row, text in zip(rows, texts.seconds, strict=True)]
        device = self.words.weight.device
        starts = torch.tensor([0, *map(len, rows[:-1])], device=device).cumsum(dim=0)
        seen: Tensor = self.words(torch.tensor([word for row in rows for word in row], device=device), starts)
        return seen


def _hashed(text: str) -> list[int]:
    return [zlib.crc32(word.encode()) % _WORDS for word in text.lower().split()]


class Generator(nn.Module):
    """Examples to (b, m) path logits and, in training, the scale of their noise."""

    def __init__(self, checkpoints: int, *, texts: bool) -> None:
        super().__init__()
        self.see = Skim(_WIDTH) if texts else Glance(_WIDTH)
        self.prefer = nn.Linear(_WIDTH, checkpoints)
        self.doubt = nn.Linear(_WIDTH, checkpoints)

    def forward(self, views: Views) -> Tensor:
        """Logits (b, m); noisy in training mode."""
        seen = self.see(views)
        logits: Tensor = self.prefer(seen)
        if self.training:
            logits = logits + torch.randn_like(logits) * nn.functional.softplus(self.doubt(seen))
        return logits


class Chosen(NamedTuple):
    """Which checkpoints a batch goes through.

    Attributes:
        weights: (b, m) of the answers in the mixtures, zero where the checkpoint was not chosen.
        chose: (b, m) whether the image goes through the checkpoint.
        inclination: (b, m) softmax of all logits.
    """

    weights: Tensor
    chose: Tensor
    inclination: Tensor


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

    def __init__(self, members: list[Classifier], paths: int, classes: int) -> None:
        super().__init__()
        self._classes = classes
        self.members = nn.ModuleList(members)
        self.generator = Generator(len(members), texts=members[0].description.modality == "text")
        self.paths = paths

    def forward(self, views: Views) -> Tensor:
        """Logits (b, C)."""
        return self.take(views).logits

    def choose(self, views: Views) -> Chosen:
        """Which checkpoints, and how much each counts."""
        inclined: Tensor = self.generator(views)
        kept = inclined.topk(self.paths, dim=1)
        weights = torch.zeros_like(inclined).scatter(1, kept.indices, kept.values.softmax(dim=1))
        chose = torch.zeros_like(inclined, dtype=torch.bool).scatter(1, kept.indices, True)
        return Chosen(weights, chose, inclined.softmax(dim=1))

    def take(self, views: Views) -> Taken:
        """Choose, run and mix."""
        weights, chose, inclination = self.choose(views)
        each: list[Tensor] = []
        for place, member in enumerate(self.members):
            rows = chose[:, place].nonzero()[:, 0]
            answered = member(views[rows]) if len(rows) else weights.new_zeros(0, self._classes)
            each.append(answered.new_zeros(len(views), self._classes).index_copy(0, rows, answered))
        logits = torch.stack([weights[:, place, None] * one for place, one in enumerate(each)]).sum(dim=0)
        return Taken(logits, each, chose, inclination)


def entropy(shares: Tensor) -> Tensor:
    """-sum p log p of (m,), nats."""
    return -(shares * shares.clamp_min(1e-12).log()).sum()
