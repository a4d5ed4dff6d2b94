"""What a tuning trains on: examples with classes, whatever they are, and the views of them that networks see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frontrunner.data import Split
from frontrunner.data.dataset import TextInputs
from frontrunner.tuning.examples.splits import class_codes


@dataclass(frozen=True)
class Texts:
    """A batch of texts, or of pairs; every network cuts them into tokens as its own checkpoint was trained.

    It answers to what the training loop asks of a tensor: length, rows, pieces, and being moved, which texts are not.
    """

    firsts: tuple[str, ...]
    seconds: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, rows: Tensor) -> Texts:
        chosen = rows.tolist()
        seconds = None if self.seconds is None else tuple(self.seconds[row] for row in chosen)
        return Texts(tuple(self.firsts[row] for row in chosen), seconds)

    def tensor_split(self, pieces: int) -> Sequence[Texts]:
        """As `Tensor.tensor_split`."""
        return [self[rows] for rows in torch.arange(len(self)).tensor_split(pieces)]

    def to(self, *_destination: Any, **_layout: Any) -> Texts:
        """Itself: tokens are made where the network is."""
        return self


# A batch as networks take it: pixels (b, 3, S, S) in [0, 1], or texts.
Views: TypeAlias = Tensor | Texts


class Examples(Protocol):
    """Examples with class codes.

    Attributes:
        labels: (n,) class codes.
    """

    @property
    def labels(self) -> Tensor:
        """(n,) class codes."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """The examples at `rows`, in that order."""
        ...

    def plain(self, rows: Tensor) -> Views:
        """As in evaluation."""
        ...

    def augmented(self, rows: Tensor, generator: torch.Generator, *, smallest_crop: float, flip: bool) -> Views:
        """As in training."""
        ...


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their classes; training sees them as they are.

    Attributes:
        texts: n texts or pairs.
        labels: (n,) class codes.
    """

    texts: Texts
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> LabelledTexts:
        """The texts at `rows`, in that order."""
        chosen = torch.from_numpy(rows)
        return LabelledTexts(self.texts[chosen], self.labels[chosen])

    def plain(self, rows: Tensor) -> Texts:
        """The texts at `rows`."""
        return self.texts[rows]

    def augmented(self, rows: Tensor, generator: torch.Generator, *, smallest_crop: float, flip: bool) -> Texts:
        """The texts at `rows`; crops and mirrors are for images."""
        return self.texts[rows]

    @property
    def inputs(self) -> TextInputs:
        """As a dataset holds them."""
        return TextInputs(self.texts.firsts, self.texts.seconds)


def labelled_texts(inputs: TextInputs, split: Split) -> LabelledTexts:
    """The split's texts, with their classes."""
    rows = [int(key) for key in split.keys]
    seconds = None if inputs.seconds is None else tuple(inputs.seconds[row] for row in rows)
    texts = Texts(tuple(inputs.texts[row] for row in rows), seconds)
    return LabelledTexts(texts, torch.from_numpy(np.ascontiguousarray(class_codes(split))))
