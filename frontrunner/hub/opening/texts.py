"""Texts as batches of tokens, sorted by length so that hardly any of a batch is padding. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from frontrunner.data.dataset import Key, TextInputs
from frontrunner.errors import ModalityMismatch
from frontrunner.hub.opening.checkpoint import Batch, Inputs

# Tokens of one batch, padding counted: what fills a matrix product and still fits near the caches of a CPU.
TOKENS_ON_CPU = 1024
TOKENS_ON_GPU = 65_536
# A batch ends where one more text would make more of it padding than this; the promise is 5% over all texts.
PADDING_SHARE = 0.04


class TextPreparation:
    """Batches of token ids, cut to the checkpoint's own length, in the order of their lengths.

    Attributes:
        truncated: texts so far that were longer than the checkpoint reads, where its tokenizer tells.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self.truncated = 0

    @property
    def max_tokens(self) -> int:
        """Tokens that are read of a text."""
        return self._max_tokens

    def together(self, firsts: Sequence[str], seconds: Sequence[str] | None) -> Any:
        """These texts, or pairs, as one batch in their order, padded to the longest."""
        return self._tokenizer.pad(self._encoded(firsts, seconds), padding="longest", return_tensors="pt")

    def _encoded(self, firsts: Sequence[str], seconds: Sequence[str] | None) -> Any:
        pairs = None if seconds is None else list(seconds)
        return self._tokenizer(list(firsts), pairs, truncation=True, max_length=self._max_tokens)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files."""
        self._tokenizer.save_pretrained(folder)

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Batches of tokens, the longest texts first; tokenized at once, padded batch by batch."""
        if not isinstance(inputs, TextInputs):
            raise ModalityMismatch("the checkpoint reads texts, the dataset holds none")
        rows = [int(key) for key in keys]
        firsts = [inputs.texts[row] for row in rows]
        seconds = None if inputs.seconds is None else [inputs.seconds[row] for row in rows]
        encoded = self._encoded(firsts, seconds)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        self.truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings or ())
        budget = TOKENS_ON_CPU if device.type == "cpu" else TOKENS_ON_GPU
        for positions in length_batches(lengths, budget):
            chosen = {name: [values[position] for position in positions] for name, values in encoded.items()}
            yield Batch(positions, self._tokenizer.pad(chosen, padding="longest", return_tensors="pt"))


def length_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices of texts in batches of nearly equal length, the longest first, each index once.

    A batch of b texts whose longest has m tokens takes b m <= token_budget of them, unless it is a single text, and
    at most `PADDING_SHARE` of these are padding.

    Example:
        >>> list(length_batches([3, 50, 3, 49, 3], 100))
        [[1, 3], [0, 2, 4]]
    """
    batch: list[int] = []
    longest = tokens = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        size = longest * (len(batch) + 1)
        if batch and (size > token_budget or size - tokens - lengths[index] > PADDING_SHARE * size):
            yield batch
            batch, tokens = [], 0
        if not batch:
            longest = lengths[index]
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch
