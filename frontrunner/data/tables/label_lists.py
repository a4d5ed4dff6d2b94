"""Labels in lists: names of several labels, numbers of classes, zeros and ones, or several targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontrunner.data.dataset import Task
from frontrunner.data.tables.cells import Column, is_numeric, is_text
from frontrunner.data.tables.label_forms import Labels, is_binary, of_matrix, of_tags, of_words
from frontrunner.errors import AmbiguousDataset, UnlabelledDataset, UnreadableDataset


def of_lists(column: Column, task: Task | None) -> Labels | Column:
    """The labels in a column of lists; a column of numbers where every list holds one.

    Raises:
        AmbiguousDataset: numbers that may be classes or targets.
        UnlabelledDataset: the lists hold neither words nor numbers.
        UnreadableDataset: they do not fit the task that is asked for, or each other.
    """
    rows: list[list[Any] | None] = column.cells.to_pylist()
    kind = column.cells.type.value_type
    if is_text(kind):
        names = _names(rows, lambda name: name.strip() != "")
        return _of_names([row if row is None else list(map(str, row)) for row in names], "", task, column.name)
    if not is_numeric(kind):
        raise UnlabelledDataset(f"the column '{column.name}' holds {column.cells.type}, which are no labels")
    if column.class_names is not None:
        return _of_class_numbers(_names(rows, lambda number: number >= 0), column.class_names, task, column.name)
    return _of_numbers(rows, column, task)


def _of_numbers(rows: Sequence[list[Any] | None], column: Column, task: Task | None) -> Labels | Column:
    """Lists of numbers without names: indicators, targets, or numbers of classes."""
    lengths = {len(row) for row in rows if row is not None}
    width = lengths.pop() if len(lengths) == 1 else 0
    numbers = [[np.nan if value is None else float(value) for value in row] for row in rows if row is not None]
    whole = all(value == np.round(value) for row in numbers for value in row if np.isfinite(value))
    if width == 1 and task != "multi-label":
        flat = [None if row is None else row[0] for row in rows]
        return Column(column.name, pa.chunked_array([pa.array(flat, column.cells.type.value_type)]), typed=True)
    if width:
        given = iter(numbers)
        matrix = np.array([[np.nan] * width if row is None else next(given) for row in rows])
        names = tuple(f"{column.name}_{index}" for index in range(width))
        is_integer = pa.types.is_integer(column.cells.type.value_type)
        if not whole or task == "regression" or is_binary(matrix) or (task is None and not is_integer):
            return of_matrix(matrix, names, task)
        if task is None:
            raise AmbiguousDataset(
                f"the lists in column '{column.name}' hold {width} whole numbers each: numbers of classes, or targets? "
                "Choose with --task multi-label or --task regression"
            )
    if not whole or task == "regression":
        raise UnreadableDataset(f"the lists in column '{column.name}' differ in length or hold no whole numbers")
    ids = _names(rows, np.isfinite)
    tags = [None if row is None else [str(int(number)) for number in row] for row in ids]
    return _of_names(tags, "numbers of classes", task, column.name)


def _of_class_numbers(rows: Sequence[list[Any] | None], names: Sequence[str], task: Task | None, column: str) -> Labels:
    if any(number >= len(names) for row in rows if row is not None for number in row):
        raise UnreadableDataset(f"the lists in '{column}' hold numbers outside of their {len(names)} names of classes")
    tags = [None if row is None else [names[int(number)] for number in row] for row in rows]
    return _of_names(tags, "names of classes as the file gives them", task, column)


def _of_names(tags: Sequence[list[str] | None], how: str, task: Task | None, column: str) -> Labels:
    if task == "regression":
        raise UnreadableDataset(f"the lists in column '{column}' hold names, no numbers to predict")
    if task == "classification":
        return of_words(*_single(tags, column))
    return of_tags(tags, np.array([row is not None for row in tags], dtype=np.bool_), how)


def _names(rows: Sequence[list[Any] | None], is_name: Callable[[Any], bool]) -> list[list[Any] | None]:
    """The lists without their blanks; None where nothing else was in one. An empty list has no label, and says so."""
    found: list[list[Any] | None] = []
    for row in rows:
        kept = None if row is None else [value for value in row if value is not None and is_name(value)]
        found.append(None if row and not kept else kept)
    return found


def _single(tags: Sequence[list[str] | None], name: str) -> tuple[list[str | None], NDArray[np.bool_]]:
    """The one label of each list."""
    several = next((row for row in tags if row is not None and len(row) > 1), None)
    if several is not None:
        raise UnreadableDataset(f"the column '{name}' holds lists such as {several}, which are no one class")
    cells = [row[0] if row else None for row in tags]
    return cells, np.array([cell is not None for cell in cells], dtype=np.bool_)
