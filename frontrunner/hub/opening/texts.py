"""Texts as batches of tokens, sorted by length so that hardly any of a batch is padding. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from frontrunner.data.dataset import Key, TextInputs
from frontrunner.errors import CheckpointUnreadable, ModalityMismatch
from frontrunner.hub.opening.checkpoint import Batch, Inputs

# Tokens of one batch, padding counted: what fills a matrix product and still fits near the caches of a CPU.
TOKENS_ON_CPU = 1024
TOKENS_ON_GPU = 65_536
# A batch ends where one more text would make more of it padding than this; the promise is 5% over all texts.
PADDING_SHARE = 0.04


class TextPreparation:
    """Batches of token ids, cut to the checkpoint's own length, in the order of their lengths.

    Batches are padded here, on the right, so that a tokenizer needs no token for it; the mask hides what is added.
    Only a checkpoint that was trained on texts of one length has them padded on its tokenizer's own side.

    Args:
        tokenizer: the checkpoint's own.
        max_tokens: tokens that are read of a text.
        prompt: what is put before every text.
        lower_case: texts are lower-cased here, because the tokenizer has no step for it.
        to_the_end: every text is padded to `max_tokens`, as the checkpoint was trained.
        special_tokens: the tokenizer adds those that begin and end a text.

    Attributes:
        prompt: what is put before every text.
        truncated: texts so far that were longer than the checkpoint reads, where its tokenizer tells.
        one_at_a_time: every batch holds one text.
        equal_lengths: every batch holds texts of one length: padding would change their features.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_tokens: int,
        *,
        prompt: str = "",
        lower_case: bool = False,
        to_the_end: bool = False,
        special_tokens: bool = True,
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self.prompt = prompt
        self._lower_case = lower_case
        self.to_the_end = to_the_end
        self._special_tokens = special_tokens
        self.truncated = 0
        self.one_at_a_time = False
        self.equal_lengths = False

    @property
    def max_tokens(self) -> int:
        """Tokens that are read of a text."""
        return self._max_tokens

    @property
    def prompt_tokens(self) -> int:
        """Tokens at the beginning of every text that are the prompt's, and of the tokenizer's own before it."""
        if not self.prompt:
            return 0
        ids = self._encoded([""], None)[0]["input_ids"][0]
        return len(ids) - (ids[-1] in self._tokenizer.all_special_ids)

    def together(self, firsts: Sequence[str], seconds: Sequence[str] | None) -> Any:
        """These texts, or pairs, as one batch in their order, padded to the longest."""
        return self.padded(self._encoded(firsts, seconds)[0])

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
        encoded, truncated = self._encoded(firsts, seconds)
        self.truncated += truncated
        for positions in self.in_batches([len(ids) for ids in encoded["input_ids"]], device):
            yield Batch(
                positions, self.padded({name: [rows[at] for at in positions] for name, rows in encoded.items()})
            )

    def in_batches(self, lengths: Sequence[int], device: torch.device) -> Iterator[list[int]]:
        """Indices of texts of these lengths in tokens, those of a batch together, the longest first."""
        if self.to_the_end:
            lengths = [self._max_tokens] * len(lengths)
        budget = TOKENS_ON_CPU if device.type == "cpu" else TOKENS_ON_GPU
        share = 0.0 if self.equal_lengths else PADDING_SHARE
        return length_batches(lengths, 0 if self.one_at_a_time else budget, share)

    @property
    def pads_before(self) -> bool:
        """Whether texts are filled up on the left."""
        return bool(self.to_the_end and self._tokenizer.padding_side == "left")

    def with_characters(self, text: str, *, whole: bool) -> tuple[dict[str, list[int]], list[tuple[int, int]]]:
        """A text's tokens behind the prompt, and the first and one past the last of the characters of each.

        Tokens that are none of the text's stand for no character: both ends are 0.

        Args:
            text: one text.
            whole: however long it is; else cut to what the checkpoint reads.

        Raises:
            CheckpointUnreadable: the tokenizer does not tell.
        """
        if not self._tokenizer.is_fast:
            raise CheckpointUnreadable("its tokenizer does not tell which characters its tokens stand for")
        encoded = self._tokenizer(
            self.prompt + text,
            truncation=not whole,
            max_length=None if whole else self._max_tokens,
            return_attention_mask=True,
            return_offsets_mapping=True,
            add_special_tokens=self._special_tokens,
            verbose=False,
        )
        spans = [(int(begins), int(ends)) for begins, ends in encoded.pop("offset_mapping")]
        length = len(encoded["input_ids"])
        if not length:
            return {"input_ids": [self._empty_id()], "attention_mask": [1]}, [(0, 0)]
        return {name: list(values) for name, values in encoded.items() if len(values) == length}, spans

    def _encoded(self, firsts: Sequence[str], seconds: Sequence[str] | None) -> tuple[dict[str, list[list[int]]], int]:
        """Every text's tokens, what goes with them number by number, and how many texts were cut."""
        texts = [self.prompt + text for text in firsts]
        pairs = None if seconds is None else list(seconds)
        if self._lower_case:
            texts, pairs = [text.lower() for text in texts], pairs and [text.lower() for text in pairs]
        encoded = self._tokenizer(
            texts,
            pairs,
            truncation=True,
            max_length=self._max_tokens,
            return_attention_mask=True,
            add_special_tokens=self._special_tokens,
        )
        ids = encoded["input_ids"]
        fitting = {
            name: [list(row) for row in rows]
            for name, rows in encoded.items()
            if len(rows) == len(ids) and all(len(row) == len(own) for row, own in zip(rows, ids, strict=True))
        }
        for place in [place for place, row in enumerate(ids) if not row]:
            # A text of which nothing is left is read as the token that begins texts, or ends them.
            for name, rows in fitting.items():
                rows[place] = [{"input_ids": self._empty_id(), "attention_mask": 1}.get(name, 0)]
        return fitting, sum(bool(encoding.overflowing) for encoding in encoded.encodings or ())

    def _empty_id(self) -> int:
        known = self._tokenizer
        named = (known.bos_token_id, known.cls_token_id, known.eos_token_id, known.pad_token_id)
        return next((token for token in named if token is not None), 0)

    def padded(self, encoded: dict[str, list[list[int]]]) -> Any:
        """Texts of several lengths as one batch."""
        longest = self._max_tokens if self.to_the_end else max(map(len, encoded["input_ids"]))
        fillers = {"input_ids": self._padding_id(), "token_type_ids": self._tokenizer.pad_token_type_id}
        padded = {}
        for name, rows in encoded.items():
            fills = [[fillers.get(name, 0)] * (longest - len(row)) for row in rows]
            padded[name] = torch.tensor(
                [fill + row if self.pads_before else row + fill for row, fill in zip(rows, fills, strict=True)]
            )
        return transformers.BatchEncoding(padded)

    def _padding_id(self) -> int:
        known = self._tokenizer
        named = (known.pad_token_id, known.eos_token_id, known.unk_token_id)
        return next((token for token in named if token is not None), 0)


def length_batches(
    lengths: Sequence[int], token_budget: int, padding_share: float = PADDING_SHARE
) -> Iterator[list[int]]:
    """Indices of texts in batches of nearly equal length, the longest first, each index once.

    A batch of b texts whose longest has m tokens takes b m <= token_budget of them, unless it is a single text, and
    at most `padding_share` of these are padding.

    Example:
        >>> list(length_batches([3, 50, 3, 49, 3], 100))
        [[1, 3], [0, 2, 4]]
    """
    batch: list[int] = []
    longest = tokens = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        size = longest * (len(batch) + 1)
        if batch and (size > token_budget or size - tokens - lengths[index] > padding_share * size):
            yield batch
            batch, tokens = [], 0
        if not batch:
            longest = lengths[index]
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch
