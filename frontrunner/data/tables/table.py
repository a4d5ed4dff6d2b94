"""A table as its reader leaves it, whatever the format."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from frontrunner.errors import DatasetTooLarge, UnreadableDataset

# A table of every gene has some 60,000. Each column is looked at on its own.
MAX_COLUMNS = 100_000
# Longer ones are sentences.
_WORDS_OF_A_NAME = 5
_DECIMAL = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Table:
    """Columns by name.

    Attributes:
        rows: the columns; names are unique and carry no blanks around them.
        format: csv, tsv, json, jsonl, excel or parquet.
        typed: whether the format says what a column holds. Where it does not, every column is text, and whether it
            holds numbers is told from its cells: `0070` is a text, and `01` is not `1`.
        features: what Hugging Face's `datasets` wrote about the columns: images, names of classes.
        unusable: columns that were dropped, and why.
        notes: what was found out on the way and a person should know, the encoding for instance.
    """

    rows: pa.Table
    format: str
    typed: bool
    features: dict[str, Any] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.rows.column_names)

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """The names that the file gives to the numbers of a column, or of a column of lists; None without."""
        feature = self.features.get(column)
        while isinstance(feature, (dict, list)):
            if isinstance(feature, list):  # an old way to write a sequence
                feature = feature[0] if len(feature) == 1 else None
            elif feature.get("_type") == "ClassLabel":
                names = feature.get("names")
                if isinstance(names, dict):  # {"0": "negative", "1": "positive"}, as written by hand
                    names = [names[key] for key in sorted(names, key=lambda key: int(key) if key.isdecimal() else -1)]
                return tuple(map(str, names)) if isinstance(names, list) else None
            elif feature.get("_type") in ("Sequence", "List", "LargeList"):
                feature = feature.get("feature")
            else:
                return None
        return None


def column_names(given: list[str], name: str) -> list[str]:
    """Names without the blanks around them; a column without a name gets the one that pandas would give it.

    Raises:
        DatasetTooLarge: there are too many.
        UnreadableDataset: two columns have one name.
    """
    if len(given) > MAX_COLUMNS:
        raise DatasetTooLarge(f"{name} has {len(given):,} columns; at most {MAX_COLUMNS:,} are accepted")
    found = [text.strip().lstrip("\ufeff") or f"Unnamed: {index}" for index, text in enumerate(given)]
    twice = sorted(text for text, count in Counter(found).items() if count > 1)
    if twice:
        advice = "; if its first line is a row like the others, put names of columns above it" if is_row(found) else ""
        raise UnreadableDataset(
            f"{name} has more than one column named '{twice[0]}'; which one is meant cannot be told: rename one of them"
            f"{advice}"
        )
    return found


def is_row(names: list[str]) -> bool:
    """Whether what should be names of columns looks like a row: a number with a fraction, or a whole sentence.

    Example:
        >>> is_row(["text", "label"]), is_row(["a film that nobody should miss", "1"])
        (False, True)
    """
    return any(len(name.split()) > _WORDS_OF_A_NAME or _DECIMAL.fullmatch(name) for name in names)
