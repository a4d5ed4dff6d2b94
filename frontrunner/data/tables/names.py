"""Names of columns: which mean what, how they are compared, and how choices among them are spelled."""

from __future__ import annotations

import re
from collections.abc import Sequence

from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.table import Table
from frontrunner.errors import UnreadableDataset


def plain(name: str) -> str:
    """A column's name as names are compared: `Data Set`, `data-set` and `data_set` are one.

    Example:
        >>> plain("File Name")
        'file_name'
    """
    return re.sub(r"[\s_.-]+", "_", name.strip().lower())


def listed(table: Table, wanted: str) -> tuple[str, ...]:
    """The columns that an option names: one, or several with commas between them.

    Raises:
        UnreadableDataset: one of them is not there.
    """
    if wanted in table.columns:
        return (wanted,)
    names = tuple(part.strip() for part in wanted.split(","))
    for part in names:
        if part in table.unusable:
            raise UnreadableDataset(f"the column '{part}' cannot be read: {table.unusable[part]}")
        if part not in table.columns:
            raise UnreadableDataset(f"there is no column '{part}'; the table has {table.columns}")
    return names


def named_like(columns: dict[str, Column], candidates: Sequence[str]) -> str | None:
    """The first column that is called like one of the candidates, which come in order of preference."""
    by_name = {plain(key): key for key in reversed(columns)}
    return next((by_name[name] for name in candidates if name in by_name), None)


def spelled(option: str, columns: Sequence[str]) -> str:
    """The options that choose one of these columns, as a person would write them."""
    return " or ".join(f"--{option} {quoted(column)}" for column in columns[:6])


def quoted(text: str) -> str:
    """A column's name as a shell takes it."""
    return text if re.fullmatch(r"[\w.,/-]+", text) else f"'{text}'"
