"""Labels as codes or as a matrix, out of words, tags or numbers that are told apart already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontrunner.data.dataset import Task
from frontrunner.errors import DatasetTooLarge, UnlabelledDataset, UnreadableDataset

# 4 GB of doubles.
_MOST_CELLS = 500_000_000
_LONGEST_NUMBER = 18
# May be a class among words (Namibia, "none of them"), and may not.
_MAYBE_NOTHING = frozenset({"na", "n/a", "none", "?", "-", "unknown", "unlabeled", "unlabelled"})


@dataclass(frozen=True)
class Labels:
    """What is to be predicted.

    Attributes:
        classes: class names by code, or names of the targets.
        present: (n,) which rows have a label.
        codes: (n,) class codes; 0 where no label is present.
        matrix: (n, K) targets, or labels as 0 and 1; 0 where none is present.
        how: how it was read, where that is not plain.
        warnings: what looks wrong.
    """

    task: Task
    classes: tuple[str, ...]
    present: NDArray[np.bool_]
    codes: NDArray[np.int64] | None = None
    matrix: NDArray[np.float64] | None = None
    how: str = ""
    warnings: tuple[str, ...] = field(default=())


def of_words(cells: Sequence[Any], present: NDArray[np.bool_]) -> Labels:
    """Classes out of words, in alphabetical order.

    Args:
        cells: n words, or what is written as such.
        present: (n,) which cells are labels.
    """
    words = [str(cell) for cell, there in zip(cells, present, strict=True) if there]
    stripped = [word.strip() for word in words]
    if len(set(stripped)) == len(set(words)):
        words = stripped  # no two become one: the blanks are those of the file
    classes = tuple(sorted(set(words)))
    code = {name: index for index, name in enumerate(classes)}
    codes = np.array([code[word] for word in words], dtype=np.int64)
    return Labels("classification", classes, present, spread(codes, present), warnings=tuple(_doubts(classes)))


def _doubts(classes: tuple[str, ...]) -> list[str]:
    found = [name for name in classes if name.strip().lower() in _MAYBE_NOTHING]
    said = [f"the class '{name}' may mean that a label is missing" for name in found]
    for sign in ("|", ";", ","):
        with_sign = [name for name in classes if sign in name]
        parts = {part.strip() for name in classes for part in name.split(sign)}
        # A name may hold a comma ("salt, coarse"); parts that come again and again are labels.
        if with_sign and len(parts) < len(classes) + (sign == "|"):
            said.append(
                f"labels such as '{with_sign[0]}' look like several joined by '{sign}'; --task multi-label splits them"
            )
            break
    return said


def of_tags(tags: Sequence[Sequence[str] | None], present: NDArray[np.bool_], how: str) -> Labels:
    """Several labels a row, in alphabetical order, or by number where all are numbers.

    Args:
        tags: the labels of each of n rows; None where a row has none to learn from.
        present: (n,) which rows are labelled.
        how: how the labels were told apart.

    Raises:
        DatasetTooLarge: more different labels than fit into memory beside this many rows.
    """
    found = {tag for row in tags if row is not None for tag in row}
    if len(tags) * len(found) > _MOST_CELLS:
        raise DatasetTooLarge(f"{len(found):,} different labels in {len(tags):,} rows are more than fit into memory")
    numbered = all(tag.isdecimal() and len(tag) <= _LONGEST_NUMBER for tag in found)
    classes = tuple(sorted(found, key=(lambda tag: (int(tag), tag)) if numbered else None))
    code = {tag: index for index, tag in enumerate(classes)}
    matrix = np.zeros((len(tags), len(classes)))
    for index, row in enumerate(tags):
        matrix[index, [code[tag] for tag in row or ()]] = 1.0
    return Labels("multi-label", classes, present, matrix=matrix, how=how)


def of_matrix(matrix: NDArray[np.float64], names: Sequence[str], task: Task | None) -> Labels:
    """Targets, or labels as zeros and ones: one-hot where every row has exactly one.

    Args:
        matrix: (n, K); a row with NaN or infinity in it is not labelled.
        names: of the K columns.
        task: what is asked for.

    Raises:
        UnlabelledDataset: no row is labelled.
        UnreadableDataset: the numbers do not fit the task.
    """
    present = np.asarray(np.isfinite(matrix).all(axis=1), dtype=np.bool_)
    if not present.any():
        raise UnlabelledDataset(f"the column '{names[0]}' holds no label")
    rows = matrix[present]
    binary = matrix.shape[1] > 1 and is_binary(matrix)
    one_hot = binary and bool((rows.sum(axis=1) == 1).all())
    if task == "classification" or (task is None and one_hot):
        if not one_hot:
            raise UnreadableDataset(f"not every row has one 1 in {', '.join(names[:8])}: they are not one-hot classes")
        codes = spread(rows.argmax(axis=1), present)
        return Labels("classification", tuple(names), present, codes, how="one-hot")
    if task == "multi-label" and not binary:
        raise UnreadableDataset(f"{', '.join(names[:8])} hold other numbers than 0 and 1, which are not several labels")
    filled = np.where(present[:, None], matrix, 0.0)
    return Labels(task or ("multi-label" if binary else "regression"), tuple(names), present, matrix=filled)


def is_binary(matrix: NDArray[np.float64]) -> bool:
    """Whether the labelled rows of a matrix hold zeros and ones alone."""
    return bool(np.isin(matrix[np.isfinite(matrix).all(axis=1)], (0.0, 1.0)).all())


def spread(codes: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) codes of the rows that have one, among all rows."""
    spread = np.zeros(present.size, dtype=np.int64)
    spread[present] = codes
    return spread
