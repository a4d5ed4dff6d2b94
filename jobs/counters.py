"""Counters that only grow, kept in the transactions that they count, so that no crash makes them wrong."""

from __future__ import annotations

from sqlalchemy.orm import Session

from models.counter import CounterRow
from models.upsert import insert_into


def add_to_counters(session: Session, amounts: dict[tuple[str, str], float]) -> None:
    """Add amounts by (name, label). The rows are written in order of their keys: two writers cannot deadlock.

    The last write of its transaction: the rows are shared by every job.
    """
    rows = [{"name": name, "label": label, "value": value} for (name, label), value in sorted(amounts.items())]
    statement = insert_into(session, CounterRow).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "label"], set_={"value": CounterRow.value + statement.excluded.value}
        )
    )
