"""Which column of a table is what: input, label, split, or none of them. Where that cannot be told, it is asked.

A column is taken for the input by its name (those of published datasets) or by what its cells are, and only if no other
column could be meant. Numbers that count or name rows are never features; words without blanks are never texts unless
their column is called so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.splits import SplitChoice
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.input_columns import InputKind, input_columns, is_id
from frontrunner.data.tables.label_columns import label_columns, one_hot_columns, split_column
from frontrunner.data.tables.names import spelled
from frontrunner.data.tables.table import Table, is_row
from frontrunner.errors import AmbiguousDataset, UnlabelledDataset


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are.

    Attributes:
        kind: what the input is.
        inputs: its column; two hold pairs of texts, several hold features.
        labels: the label's column; several hold one-hot labels or several targets.
        split: the split's column.
        ids: columns of numbers or names of rows, which are not read.
        unread: other columns that are not read.
    """

    kind: InputKind
    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None
    ids: tuple[str, ...]
    unread: tuple[str, ...]


def roles_of(
    table: Table, name: str, options: DatasetOptions, names_images: Callable[[Column], bool] | None = None
) -> Roles:
    """What the columns of `table` are.

    Args:
        table: at least one row.
        name: what messages call it.
        options: columns that are asked for; they win.
        names_images: whether a column names images that lie beside the table.

    Raises:
        AmbiguousDataset: several columns could be meant; the message spells out the options that choose.
        UnlabelledDataset: no column is the label.
        UnreadableDataset: no column is an input, or one that is asked for is absent.
    """
    columns = {column: Column.of(table, column) for column in table.columns}
    labels = label_columns(table, columns, name, options)
    split = split_column(table, columns, name, SplitChoice.parse(options.split), labels)
    rest = {key: column for key, column in columns.items() if key not in labels and key != split}
    ids = tuple(key for key, column in rest.items() if column.kind == "number" and is_id(column))
    try:
        label = columns[labels[0]] if labels else None
        kind, inputs = input_columns(table, name, options, rest, ids, label, names_images)
        if not labels:
            labels = one_hot_columns(rest, ids, inputs, kind, name, options)
    except AmbiguousDataset as error:
        classes = [] if labels else [key for key in rest if key not in ids and _are_classes(rest[key])]
        which = f"; nor is a column called 'label': choose with {spelled('label', classes)}" if classes else ""
        raise AmbiguousDataset(f"{error.reason}{which}{_header_advice(table)}") from error
    except UnlabelledDataset as error:
        raise UnlabelledDataset(f"{error.reason}{_header_advice(table)}") from error
    taken = {*inputs, *labels, *ids, split}
    unread = tuple(key for key in table.columns if key not in taken)
    return Roles(kind, inputs, labels, split, tuple(key for key in ids if key not in inputs), unread)


def _are_classes(column: Column) -> bool:
    """Whether a column could hold classes: words or truth values that come again."""
    return column.kind in ("word", "boolean") and 1 < column.distinct <= len(column.cells) // 2


def _header_advice(table: Table) -> str:
    if table.typed or not is_row(table.columns):
        return ""
    return "; if its first line is a row like the others, put a line with names of columns above it"
