"""A text set of the pack, with a label for each word by rules that ask for its letters, its meaning and its context."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet

_WORD = re.compile(r"\w+(?:[.'-]\w+)*|[^\w\s]")
# Words that are a label by their meaning, whatever they are written like.
_TIMES = frozenset(
    {
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "yesterday", "tomorrow",
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
        "december", "week", "weeks", "month", "months", "year", "years", "day", "days", "night", "morning",
    }
)  # fmt: skip
_MONEY = frozenset({"million", "billion", "dollars", "percent", "profit", "sales", "shares", "stocks", "oil", "prices"})
_TITLES = frozenset({"president", "minister", "mr", "prime", "chief", "king", "coach", "judge", "senator", "secretary"})


def sentences_of(file: Path, limit: int) -> list[list[str]]:
    """The first texts of a Parquet file of the pack as lists of words and signs."""
    texts = pyarrow.parquet.read_table(file).column("text").to_pylist()[:limit]
    return [found for text in texts if (found := _WORD.findall(text))]


def labels_of(words: Sequence[str]) -> list[str]:
    """A label for each word of a sentence.

    Example:
        >>> labels_of(["Shares", "fell", "3", "percent", ",", "Prime", "Minister", "Blair", "said", "Friday"])
        ['MONEY', 'O', 'NUMBER', 'MONEY', 'SIGN', 'TITLE', 'TITLE', 'NAME', 'O', 'TIME']
    """
    return list(_labels(words))


def _labels(words: Sequence[str]) -> Iterator[str]:
    before = ""
    for place, word in enumerate(words):
        plain = word.lower()
        if not any(letter.isalnum() for letter in word):
            label = "SIGN"
        elif any(letter.isdigit() for letter in word):
            label = "NUMBER"
        elif plain in _TIMES:
            label = "TIME"
        elif plain in _MONEY:
            label = "MONEY"
        elif plain in _TITLES:
            label = "TITLE"
        elif word[0].isupper() and (place > 0 or before in ("TITLE", "NAME")):
            label = "NAME"
        else:
            label = "O"
        before = label
        yield label


def write_conll(sentences: Sequence[Sequence[str]], file: Path) -> Path:
    """Words and their labels, a word a line."""
    blocks = (
        "\n".join(f"{word}\t{label}" for word, label in zip(words, labels_of(words), strict=True))
        for words in sentences
    )
    file.write_text("\n\n".join(blocks) + "\n")
    return file
