"""Which column is the label, and which says the split."""

from __future__ import annotations

import numpy as np

from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.splits import SplitChoice, split_of
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.input_columns import same_partition
from frontrunner.data.tables.names import listed, named_like, plain, quoted, spelled
from frontrunner.data.tables.table import Table
from frontrunner.errors import AmbiguousDataset, UnlabelledDataset, UnreadableDataset

LABEL_NAMES = ("label", "labels", "class", "category", "target", "targets", "y")
SPLIT_NAMES = ("split", "fold", "subset")
# Names that mean the split only where every cell is one.
_MAYBE_SPLIT_NAMES = ("set", "data_set", "dataset", "partition", "usage", "phase", "type")
# So many columns are offered as choices.
_FEW_COLUMNS = 6
# As many columns of zeros and ones are labels even if a row may have several of them.
_SEVERAL_LABELS = 3


def label_columns(table: Table, columns: dict[str, Column], name: str, options: DatasetOptions) -> tuple[str, ...]:
    """The label's column as asked for or as its name says; nothing where no name does.

    Raises:
        AmbiguousDataset: several columns are called so and say different things.
        UnreadableDataset: the column cannot be read, or is not there.
    """
    if options.label is not None:
        return listed(table, options.label)
    found = [key for key in columns if plain(key) in LABEL_NAMES and not _is_input_too(key, options)]
    found.sort(key=lambda key: LABEL_NAMES.index(plain(key)))
    if len(found) > 1 and plain(found[1]) != "y" and not same_partition(columns[found[0]], columns[found[1]]):
        raise AmbiguousDataset(
            f"{name} has more than one column that may be the label: {', '.join(found)}; "
            f"choose with {spelled('label', found)}"
        )
    if found:
        return (found[0],)
    broken = next((key for key in table.unusable if plain(key) in LABEL_NAMES), None)
    if broken is not None:
        raise UnreadableDataset(f"{name}: the column '{broken}' cannot be read: {table.unusable[broken]}")
    named = [key for key, column in columns.items() if column.class_names]
    if len(named) > 1:
        raise AmbiguousDataset(
            f"{name} has more than one column of classes: {', '.join(named)}; choose with {spelled('label', named)}"
        )
    return tuple(named)


def _is_input_too(key: str, options: DatasetOptions) -> bool:
    asked = options.input or options.text or options.image or ""
    return key in (asked, *(part.strip() for part in asked.split(",")))


def split_column(
    table: Table, columns: dict[str, Column], name: str, choice: SplitChoice, labels: tuple[str, ...]
) -> str | None:
    """The split's column as asked for or as its name and its cells say; None without one."""
    if choice.everything:
        return None
    if choice.column is not None:
        (column,) = listed(table, choice.column)
        return column
    free = {key: column for key, column in columns.items() if key not in labels}
    known = named_like(free, SPLIT_NAMES)
    return known or next((key for key, cells in free.items() if _is_maybe_split(key, cells)), None)


def _is_maybe_split(key: str, column: Column) -> bool:
    return (
        plain(key) in _MAYBE_SPLIT_NAMES
        and column.kind == "word"
        and all(split_of(str(cell)) is not None for cell in column.sample())
    )


def one_hot_columns(
    rest: dict[str, Column],
    ids: tuple[str, ...],
    inputs: tuple[str, ...],
    kind: str,
    name: str,
    options: DatasetOptions,
) -> tuple[str, ...]:
    """Columns of zeros and ones as labels, for images and texts that have no label column."""
    binary = [
        key
        for key, column in rest.items()
        if key not in inputs and key not in ids and column.kind in ("number", "boolean") and _is_binary(column)
    ]
    if kind != "features" and len(binary) > 1:
        rows = np.column_stack([rest[key].numbers() for key in binary])
        if (np.nansum(rows, axis=1) == 1).all() or len(binary) >= _SEVERAL_LABELS or options.task == "multi-label":
            return tuple(binary)
    candidates = [key for key in rest if key not in inputs and key not in ids]
    choices = spelled("label", candidates) if 0 < len(candidates) < _FEW_COLUMNS else "--label COLUMN"
    several = f" or --label {quoted(','.join(binary))} (several at once)" if len(binary) > 1 else ""
    alone = " (neither comma, semicolon, tab nor bar separates its header)" if len(rest) == 1 else ""
    raise UnlabelledDataset(
        f"{name} has no label column among {list(rest)}{alone}; name it 'label' or choose with {choices}{several}"
    )


def _is_binary(column: Column) -> bool:
    """Whether every number of a column is 0 or 1, or missing."""
    numbers = column.numbers()
    return bool(np.isin(numbers[~np.isnan(numbers)], (0.0, 1.0)).all())
