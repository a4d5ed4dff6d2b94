"""What a label column says: one class each, several labels each, or numbers to predict.

The same rules hold for tables and for arrays. A task that is asked for is kept to or refused. Missing labels (null,
NaN, blank, and among numbers also NA and the like) leave their rows out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontrunner.data.dataset import Task
from frontrunner.data.tables.cells import Column, is_list
from frontrunner.data.tables.label_forms import Labels, of_matrix, of_tags, of_words, spread
from frontrunner.data.tables.label_lists import of_lists
from frontrunner.data.tables.tags import read_tags
from frontrunner.errors import AmbiguousDataset, UnlabelledDataset, UnreadableDataset

# Up to this many whole numbers are classes without a doubt.
SURELY_CLASSES = 20
# In fewer rows every number may well be there once.
_FEW_ROWS = 10
# `$5.50`, `12 %`, `1.234,50`, `30 mm`: a number with a sign, a unit or a mark inside.
_QUANTITY = re.compile(
    r"\s*[-+]?\s?([$€£¥₹]\s?\d[\d.,]*|\d[\d.,]*\s?([%$€£¥₹]|[A-Za-z]{1,3})"
    r"|\d{1,3}([.,' ]\d{3})+([.,]\d+)?|\d+,\d+)\s*"
)
_INFINITE = re.compile(r"\s*[-+]?inf(inity)?\s*", re.IGNORECASE)
# Never a class, even among words: what programs write for nothing.
_NOTHING = frozenset({"nan", "NaN", "NAN", "null", "NULL", "<NA>", "#N/A"})


def read_labels(columns: Sequence[Column], task: Task | None, is_test: NDArray[np.bool_]) -> Labels:
    """Labels out of one column, or out of several: one-hot labels, or targets side by side.

    Args:
        columns: with n cells each.
        task: what is asked for.
        is_test: (n,) whether a row is kept for testing.

    Raises:
        AmbiguousDataset: the cells may mean one task or another.
        UnlabelledDataset: they cannot be labels: dates, pictures.
        UnreadableDataset: they do not fit the task that is asked for.
    """
    if len(columns) > 1:
        return _side_by_side(columns, task)
    (column,) = columns
    kind = column.cells.type
    if column.kind == "empty":
        raise UnlabelledDataset(f"the column '{column.name}' holds no label")
    if is_list(kind):
        found = of_lists(column, task)
        return found if isinstance(found, Labels) else _of_numbers(found, task, is_test)
    if column.kind == "number":
        return _of_numbers(column, task, is_test)
    if column.kind == "boolean" and task == "regression":
        return of_matrix(column.numbers()[:, None], (column.name,), task)
    if column.kind in ("date", "image", "other"):
        what = {"date": "dates", "image": "images"}.get(column.kind, f"values of type {kind}")
        raise UnlabelledDataset(f"the column '{column.name}' holds {what}, which are no labels; choose another --label")
    if task == "regression":
        return _of_numbers(column, task, is_test)
    cells = column.cells.to_pylist()
    present = ~column.is_blank & ~np.array([cell in _NOTHING for cell in cells], dtype=np.bool_)
    if task == "multi-label":
        return of_tags(*read_tags(cells, present, column.name))
    if task is None:
        _refuse_infinities([str(cell) for cell, there in zip(cells, present, strict=True) if there], column.name)
        _refuse_quantities([str(cell) for cell, there in zip(cells, present, strict=True) if there], column.name)
    return of_words(cells, present)


def _of_numbers(column: Column, task: Task | None, is_test: NDArray[np.bool_]) -> Labels:
    if task == "multi-label" and not column.typed and not column.are_whole:
        # `1,2` was taken for a number with a decimal comma, before it was known that several labels are meant.
        cells = [str(cell).replace(".", ",") for cell in column.cells.to_pylist()]
        return of_tags(*read_tags(cells, ~column.is_blank, column.name))
    if task == "multi-label":
        raise UnreadableDataset(
            f"the column '{column.name}' holds one number each, which cannot be several labels; "
            "give lists, names joined by '|' or ',', or --label A,B,C with a column of zeros and ones for each label"
        )
    try:
        numbers = column.numbers()
    except (pa.ArrowException, ValueError) as error:
        found = next((repr(cell) for cell in column.sample() if not _is_number(cell)), "nothing")
        raise UnreadableDataset(f"'{column.name}' holds no numbers to predict but, for instance, {found}") from error
    if task == "regression":
        return of_matrix(numbers[:, None], (column.name,), "regression")
    present = np.isfinite(numbers)
    if not present.any():
        raise UnlabelledDataset(f"the column '{column.name}' holds no label")
    whole = bool((numbers[present] == np.round(numbers[present])).all())
    if task is None and not whole:
        return of_matrix(numbers[:, None], (column.name,), "regression")
    if column.class_names is not None:
        return _named_classes(column, numbers, column.class_names)
    warnings: list[str] = []
    if whole:
        present, warnings = _without_minus_ones(numbers, present, is_test, column.name)
    if task is None:
        _refuse_counts(numbers[present], column.name)
    exact = column.integers() if column.are_whole else numbers
    values, codes = np.unique(exact[present], return_inverse=True)
    names = tuple(str(int(value)) if whole else str(value) for value in values)
    if task is None and len(names) > SURELY_CLASSES:
        warnings.append(f"{len(names)} whole numbers were taken for classes; --task regression reads quantities")
    return Labels("classification", names, present, spread(codes, present), warnings=tuple(warnings))


def _named_classes(column: Column, numbers: NDArray[np.float64], given: Sequence[str]) -> Labels:
    """Numbers of classes whose names the file gives; -1 is none of them."""
    present = np.isfinite(numbers) & (numbers != -1)
    values, codes = np.unique(numbers[present], return_inverse=True)
    if not np.isin(values, np.arange(len(given))).all():
        raise UnreadableDataset(
            f"the column '{column.name}' holds numbers outside of its {len(given)} names of classes"
        )
    names = tuple(given[int(value)] for value in values)
    if len(set(names)) < len(names):
        raise UnreadableDataset(f"the column '{column.name}' gives two classes one name")
    how = "names of classes as the file gives them"
    return Labels("classification", names, present, spread(codes, present), how=how)


def _without_minus_ones(
    numbers: NDArray[np.float64], present: NDArray[np.bool_], is_test: NDArray[np.bool_], name: str
) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows that have a label where -1 stands for none, as in hidden test sets; -1 may also be a class beside 1."""
    minus = present & (numbers == -1)
    if not minus.any():
        return present, []
    others = np.unique(numbers[present & ~minus])
    counted = others.size > 2 and bool((others == np.arange(others.size)).all())
    hidden = bool(is_test.any()) and not bool(minus[~is_test].any())
    if (counted or hidden) and others.size:
        return present & ~minus, [f"-1 in '{name}' was taken for a missing label"]
    return present, [f"-1 in '{name}' was taken for a class; leave those rows out if it means that a label is missing"]


def _refuse_counts(numbers: NDArray[np.float64], name: str) -> None:
    """Whole numbers may be classes or quantities: many, or each one once, are refused unless they count classes."""
    n = numbers.size
    values = np.unique(numbers)
    counts_classes = values[0] in (0, 1) and values[-1] - values[0] + 1 == values.size and 2 * values.size <= n
    each_once = values.size == n and n >= _FEW_ROWS
    if each_once or (values.size > SURELY_CLASSES and not counts_classes):
        raise AmbiguousDataset(
            f"the column '{name}' holds {values.size} different whole numbers in {n} rows: quantities or classes? "
            "Choose with --task regression or --task classification"
        )


def _refuse_quantities(words: Sequence[str], name: str) -> None:
    """Numbers with a currency, a unit or thousands set apart are words here; many of them are hardly classes."""
    values = set(words)
    each_once = len(values) == len(words) and len(words) >= _FEW_ROWS
    if (each_once or len(values) > SURELY_CLASSES) and all(map(_QUANTITY.fullmatch, values)):
        raise AmbiguousDataset(
            f"the column '{name}' holds {len(values)} different quantities in {len(words)} rows, for instance "
            f"'{words[0]}'; write them as plain numbers (1234.5) to predict them, or choose with --task classification"
        )


def _refuse_infinities(cells: Sequence[str], name: str) -> None:
    """Numbers with infinite ones among them are no words, and say nothing that can be predicted."""
    infinite = [cell for cell in cells if _INFINITE.fullmatch(cell)]
    if infinite and len(infinite) < len(cells) and all(map(_is_number, cells)):
        raise AmbiguousDataset(
            f"the column '{name}' holds numbers and {infinite[0].strip()}: --task regression leaves those rows out, "
            "--task classification takes it for a class"
        )


def _is_number(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return False
    return True


def _side_by_side(columns: Sequence[Column], task: Task | None) -> Labels:
    for column in columns:
        if column.kind not in ("number", "boolean"):
            raise UnreadableDataset(f"the column '{column.name}' holds no numbers; several label columns must")
    return of_matrix(np.column_stack([column.numbers() for column in columns]), [c.name for c in columns], task)
