"""Writing rows that may be there already, whoever writes them at the same moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models.base import Base

# Values of one statement: SQLite takes 32,766, PostgreSQL twice as many.
_MOST_VALUES = 30_000


def insert_into(session: Session, table: type[Base]) -> Any:
    """An INSERT that can say what is to be done about rows that are there, in the database's own dialect."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return insert(table)


def batches(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The rows in runs that one statement takes.

    Example:
        >>> [len(batch) for batch in batches([{"a": 1, "b": 2}] * 20_000)]
        [15000, 5000]
    """
    size = _MOST_VALUES // max(len(rows[0]), 1) if rows else 1
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def upsert(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows by their primary key: new ones are inserted, those that are there take the new values.

    A look before the write would not do: two processes that start together both find nothing, and one of them fails.
    Objects of these rows that the session has loaded keep the values that they had.

    Args:
        session: of a writing transaction.
        table: theirs.
        rows: all with the same columns; the last of those with one key counts.
    """
    key = [column.name for column in inspect(table).primary_key]
    # In one order, so that two writers wait for each other and never in a circle.
    last = {tuple(str(row[name]) for name in key): row for row in rows}
    for batch in batches([last[name] for name in sorted(last)]):
        statement = insert_into(session, table).values(batch)
        given = {name: statement.excluded[name] for name in batch[0] if name not in key}
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=given))
