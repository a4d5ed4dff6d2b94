"""Excel workbooks: the one sheet that holds a table, or one sheet a split. Needs the extra `excel`."""

from __future__ import annotations

import io
from typing import Any

from frontrunner.data.files import refuse_bombs
from frontrunner.data.splits import SplitName, split_of
from frontrunner.data.tables.records import typed_table
from frontrunner.data.tables.table import Table, column_names
from frontrunner.errors import AmbiguousDataset, EmptyDataset, UnreadableDataset, UnsupportedDataset


def read_excel(data: bytes, name: str) -> list[tuple[SplitName | None, Table]]:
    """The tables of a workbook (`.xlsx`): the values of its cells, as last computed, under a header line.

    Returns:
        One table without a split, or one for each split where every sheet is named after one.

    Raises:
        UnsupportedDataset: the library that reads workbooks is not installed.
        UnreadableDataset: damaged, or two columns of one name.
        AmbiguousDataset: several sheets hold something, and their names are not splits.
        EmptyDataset: no sheet holds a row.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise UnsupportedDataset(
            f"{name} is an Excel workbook, which needs the library openpyxl: pip install 'frontrunner[excel]', "
            "or save the sheet as CSV"
        ) from error
    refuse_bombs(data, name)
    try:
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = {sheet.title: _rows(sheet) for sheet in workbook.worksheets}
    except Exception as error:  # the parsers of XML and zip raise whatever a damaged workbook leads them to
        raise UnreadableDataset(f"{name} is not a readable Excel workbook: {error}") from error
    filled = {title: rows for title, rows in sheets.items() if len(rows) > 1}
    if not filled:
        raise EmptyDataset(f"{name} holds no sheet with rows below a header")
    if len(filled) == 1:
        return [(None, _table(next(iter(filled.values())), name))]
    splits = {title: split_of(title) for title in filled}
    if None in splits.values():
        raise AmbiguousDataset(
            f"{name} has {len(filled)} sheets that hold something ({', '.join(filled)}); keep the one that is meant, "
            "or name them train and test"
        )
    return [(splits[title], _table(rows, f"{name}, sheet {title}")) for title, rows in filled.items()]


def _rows(sheet: Any) -> list[tuple[Any, ...]]:
    rows = [tuple(row) for row in sheet.iter_rows(values_only=True)]
    rows = [row for row in rows if any(cell is not None for cell in row)]
    width = max((_length(row) for row in rows), default=0)
    return [(row + (None,) * width)[:width] for row in rows]


def _length(row: tuple[Any, ...]) -> int:
    return max((index + 1 for index, cell in enumerate(row) if cell is not None), default=0)


def _table(rows: list[tuple[Any, ...]], name: str) -> Table:
    header = column_names(["" if cell is None else str(cell) for cell in rows[0]], name)
    return typed_table(dict(zip(header, map(list, zip(*rows[1:], strict=True)), strict=True)), "excel")
