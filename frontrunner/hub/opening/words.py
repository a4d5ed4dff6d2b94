"""Words of sentences as batches of tokens: whole sentences are read, and each word is found among its tokens.

A sentence is its words with a blank between them. Which tokens are whose is told by the characters that they stand for,
so any tokenizer that knows these will do. A sentence of more tokens than the checkpoint reads is cut between words, and
its parts are read one by one. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frontrunner.data.dataset import Key, WordInputs
from frontrunner.errors import CheckpointUnreadable, ModalityMismatch
from frontrunner.hub.opening.checkpoint import Batch, ForwardOutput, Inputs
from frontrunner.hub.opening.texts import TextPreparation


class _Part(NamedTuple):
    """Some words of a sentence, one after the other, that are read together.

    Attributes:
        encoded: ids and what goes with them, number by number.
        tokens: of each word, its tokens' places; at least one.
    """

    encoded: dict[str, list[int]]
    tokens: list[list[int]]


@dataclass(frozen=True)
class WordBatch:
    """Tokens of b sentences, and where among them the tokens of k words are.

    Attributes:
        tokens: the tokenizer's tensors, (b, t) each.
        row: (m,) the sentence of each of the words' tokens.
        place: (m,) its place there.
        word: (m,) the word, 0 .. k - 1, that it is of.
        words: k.
    """

    tokens: Any
    row: Tensor
    place: Tensor
    word: Tensor
    words: int

    def to(self, device: torch.device) -> WordBatch:
        """The same on another device."""
        row, place, word = (part.to(device) for part in (self.row, self.place, self.word))
        return WordBatch(self.tokens.to(device), row, place, word, self.words)

    def rows(self, hidden: Tensor) -> Tensor:
        """(k, D) the mean over each word's tokens of hidden states (b, t, D).

        Raises:
            CheckpointUnreadable: the hidden states are not those of the tokens.
        """
        if hidden.shape[1] != self.tokens["attention_mask"].shape[1]:
            raise CheckpointUnreadable("its hidden states are not those of its tokens: it reads no words")
        found = hidden.new_zeros((self.words, hidden.shape[2]))
        found.index_add_(0, self.word, hidden[self.row, self.place])
        return found / torch.bincount(self.word, minlength=self.words).to(hidden.dtype)[:, None]


class WordPreparation(TextPreparation):
    """Batches of whole sentences, for those of their words that are asked for; see `TextPreparation`.

    Attributes:
        read_by: the first token of each word, or all of them.
    """

    read_by: Literal["first", "mean"] = "first"

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Batches of words, those in the longest sentences first.

        Raises:
            ModalityMismatch: the inputs are no words.
            CheckpointUnreadable: the tokenizer does not tell which characters its tokens stand for.
        """
        if not isinstance(inputs, WordInputs):
            raise ModalityMismatch("the checkpoint reads words, the dataset holds none")
        asked: dict[int, dict[int, list[int]]] = {}
        for position, key in enumerate(keys):
            sentence, place = inputs.place(key)
            asked.setdefault(sentence, {}).setdefault(place, []).append(position)
        parts: list[dict[str, list[int]]] = []
        wanted: list[list[tuple[int, list[int]]]] = []  # of each part: positions among the keys, with their tokens
        for sentence, places in asked.items():
            start = 0
            for part in self._parts(inputs.sentence(sentence)):
                own = [
                    (position, part.tokens[place - start])
                    for place, positions in places.items()
                    if start <= place < start + len(part.tokens)
                    for position in positions
                ]
                start += len(part.tokens)
                if own:
                    parts.append(part.encoded)
                    wanted.append(own)
        for chosen in self.in_batches([len(part["input_ids"]) for part in parts], device):
            yield self._batch([parts[at] for at in chosen], [wanted[at] for at in chosen])

    def _batch(self, parts: Sequence[dict[str, list[int]]], wanted: Sequence[list[tuple[int, list[int]]]]) -> Batch:
        names = set.intersection(*(set(part) for part in parts))
        tokens = self.padded({name: [part[name] for part in parts] for name in sorted(names)})
        width = tokens["input_ids"].shape[1]
        positions: list[int] = []
        found: list[tuple[int, int, int]] = []
        for row, (part, own) in enumerate(zip(parts, wanted, strict=True)):
            before = width - len(part["input_ids"]) if self.pads_before else 0
            for position, places in own:
                found += [(row, before + place, len(positions)) for place in places]
                positions.append(position)
        row_of, place_of, word_of = torch.tensor(found).T
        return Batch(positions, WordBatch(tokens, row_of, place_of, word_of, len(positions)))

    def _parts(self, words: Sequence[str]) -> Iterator[_Part]:
        """The sentence in as few parts as the checkpoint's longest text allows."""
        start = 0
        while start < len(words):
            encoded, tokens = self._encoded_words(words[start:], whole=True)
            fitting = self._fitting(len(encoded["input_ids"]), tokens)
            if fitting < len(tokens):
                encoded, tokens = self._encoded_words(words[start : start + fitting], whole=False)
            yield _Part(encoded, [self._read_of(own) for own in tokens])
            start += fitting

    def _read_of(self, tokens: list[int]) -> list[int]:
        return tokens[:1] if self.read_by == "first" else tokens

    def _fitting(self, length: int, tokens: Sequence[list[int]]) -> int:
        """How many of the first words, one at least, fit with what closes the text."""
        if length <= self.max_tokens:
            return len(tokens)
        behind = length - 1 - tokens[-1][-1]
        return max(1, sum(own[-1] + 1 + behind <= self.max_tokens for own in tokens))

    def _encoded_words(self, words: Sequence[str], *, whole: bool) -> tuple[dict[str, list[int]], list[list[int]]]:
        """The tokens of words, and each word's places among them; one that has none is read at the token before it."""
        starts = np.cumsum([len(self.prompt), *(len(word) + 1 for word in words)])[:-1]
        ends = starts + np.array([len(word) for word in words])
        encoded, spans = self.with_characters(" ".join(words), whole=whole)
        tokens: list[list[int]] = [[] for _ in words]
        for place, (begins, ends_at) in enumerate(spans):
            if ends_at > begins:
                first = int(np.searchsorted(ends, begins, side="right"))
                for word in range(first, int(np.searchsorted(starts, ends_at, side="left"))):
                    tokens[word].append(place)
        return encoded, _filled(tokens, spans, starts)


def _filled(tokens: list[list[int]], spans: Sequence[tuple[int, int]], starts: NDArray[np.int64]) -> list[list[int]]:
    last = max((place for place, span in enumerate(spans) if 0 < span[1] <= starts[0]), default=0)
    filled = []
    for own in tokens:
        filled.append(own or [last])
        last = filled[-1][-1]
    return filled


def word_dimension(read: Callable[[WordBatch], ForwardOutput], preparation: WordPreparation) -> int:
    """D of a word's row, from a sentence of two.

    Raises:
        CheckpointUnreadable: words cannot be read.
    """
    (batch,) = preparation.batches(WordInputs.of([["a", "word"]]), [0], torch.device("cpu"))
    with torch.inference_mode():
        return int(read(batch.inputs).features.shape[1])
