"""Several labels in one cell of text, asked for by `--task multi-label`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontrunner.errors import UnreadableDataset

# The first one that occurs separates the labels; a comma may be part of a name that bars separate.
SEPARATORS = ("|", ";", ",")
# A list written out is parsed as Python's or JSON's; longer cells are texts.
_LONGEST_LIST = 10_000


def read_tags(
    cells: Sequence[Any], present: NDArray[np.bool_], name: str
) -> tuple[list[list[str] | None], NDArray[np.bool_], str]:
    """The labels of each cell, which cells have some, and how they were told apart.

    Raises:
        UnreadableDataset: nothing separates labels in any cell.

    Example:
        >>> read_tags(["a|b", "b"], np.array([True, True]), "tags")[0]
        [['a', 'b'], ['b']]
    """
    texts = [str(cell).strip() if there else None for cell, there in zip(cells, present, strict=True)]
    filled = [text for text in texts if text is not None]
    if filled and all(_is_list(text) for text in filled):
        return [None if text is None else _listed(text, name) for text in texts], present, "lists written out"
    separator = next((sign for sign in SEPARATORS if any(sign in text for text in filled)), None)
    how = f"separated by '{separator}'"
    if separator is None:
        if not any(" " in text for text in filled):
            raise UnreadableDataset(
                f"no cell of column '{name}' holds several labels: none of {' '.join(SEPARATORS)} or a blank is in it"
            )
        how = "separated by blanks"
    tags = [
        None if text is None else list(dict.fromkeys(tag.strip() for tag in text.split(separator) if tag.strip()))
        for text in texts
    ]
    return tags, present, how


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and len(text) <= _LONGEST_LIST


def _listed(text: str, name: str) -> list[str]:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise UnreadableDataset(f"the list {text[:60]} in column '{name}' cannot be read") from error
    return list(dict.fromkeys(str(value).strip() for value in values if value is not None and str(value).strip()))
