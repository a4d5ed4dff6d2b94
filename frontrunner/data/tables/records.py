"""JSON: an object a line (JSONL), a list of objects, or an object of columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from frontrunner.data.splits import SplitName, split_of
from frontrunner.data.tables.encoding import decode_text
from frontrunner.data.tables.table import Table, column_names
from frontrunner.errors import EmptyDataset, UnreadableDataset

_EXPECTED = "expected an object a line, a list of objects, or an object of columns of equal length"


def read_json(data: bytes, name: str) -> list[tuple[SplitName | None, Table]]:
    """The table of a JSON or JSONL file; one for each split where an object holds a list of records for each.

    Raises:
        EmptyDataset: nothing is in it.
        UnreadableDataset: not JSON, or JSON of another shape.

    Example:
        >>> [(split, table)] = read_json(b'{"text": "fine", "label": 1}', "t.json")
        >>> table.rows.to_pydict()
        {'text': ['fine'], 'label': [1]}
    """
    decoded = decode_text(data, name)
    text = decoded.data.decode()
    notes = (decoded.note,) if decoded.note else ()
    if not text.strip():
        raise EmptyDataset(f"{name} is an empty file")
    try:
        whole = json.loads(text)
    except RecursionError as error:
        raise UnreadableDataset(f"{name} nests deeper than a table does") from error
    except ValueError:
        return [(None, _table(_columns_of(_lines(text, name)), "jsonl", name, notes))]
    splits = _splits(whole)
    if splits:
        return [(side, _table(_columns_of(records), "json", name, notes)) for side, records in splits]
    return [(None, _table(_columns(whole, name), "json", name, notes))]


def typed_table(columns: dict[str, list[Any]], format: str, notes: tuple[str, ...] = ()) -> Table:  # noqa: A002
    """A table of Python values; columns whose values are of different kinds are dropped, and why is kept."""
    arrays: dict[str, pa.Array] = {}
    unusable: dict[str, str] = {}
    for column, values in columns.items():
        try:
            arrays[column] = pa.array(values)
        except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
            unusable[column] = f"its values are of different kinds ({str(error).splitlines()[0]})"
    return Table(pa.table(arrays), format, typed=True, unusable=unusable, notes=notes)


def _lines(text: str, name: str) -> list[dict[str, Any]]:
    records = []
    # Not `splitlines`, which breaks lines at characters that JSON allows inside of a text.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except RecursionError as error:
            raise UnreadableDataset(f"{name} nests deeper than a table does in line {number}") from error
        except ValueError as error:
            raise UnreadableDataset(f"{name} is not JSON in line {number}: {error}; {_EXPECTED}") from error
        if not isinstance(record, dict):
            raise UnreadableDataset(f"{name} holds no object in line {number}; {_EXPECTED}")
        records.append(record)
    return records


def _splits(whole: Any) -> list[tuple[SplitName, list[dict[str, Any]]]]:
    """Records by split, where an object holds lists of them and nothing else."""
    if not isinstance(whole, dict):
        return []
    found = []
    for key, records in whole.items():
        side = split_of(key)
        if side is None or not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            return []
        found.append((side, records))
    return found


def _columns(whole: Any, name: str) -> dict[str, list[Any]]:
    if isinstance(whole, dict):
        lists = {key: value for key, value in whole.items() if isinstance(value, list)}
        if len(lists) == 1 and all(isinstance(record, dict) for record in next(iter(lists.values()))):
            return _columns(next(iter(lists.values())), name)  # {"version": 1, "data": [{...}, ...]}
        if whole and len(lists) == len(whole) and len({len(values) for values in lists.values()}) == 1:
            return lists
        if whole and all(isinstance(value, dict) for value in whole.values()):
            by_row = list(whole.values())  # pandas writes {"text": {"0": ..., "1": ...}, "label": {...}}
            if all(column.keys() == by_row[0].keys() for column in by_row) and list(by_row[0])[:1] == ["0"]:
                return {key: list(column.values()) for key, column in whole.items()}
        if not lists and not any(isinstance(value, dict) for value in whole.values()):
            return _columns_of([whole])  # one line of JSONL
    if isinstance(whole, list) and all(isinstance(record, dict) for record in whole):
        return _columns_of(whole)
    raise UnreadableDataset(f"{name} is JSON and no table; {_EXPECTED}")


def _columns_of(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(key for record in records for key in record)
    return {key: [record.get(key) for record in records] for key in names}


def _table(columns: dict[str, list[Any]], format: str, name: str, notes: tuple[str, ...]) -> Table:  # noqa: A002
    if not columns:
        raise EmptyDataset(f"{name} holds no rows")
    names = column_names(list(columns), name)
    return typed_table(dict(zip(names, columns.values(), strict=True)), format, notes)
