"""Tallies: counts that only grow, kept in the transactions that they count, so that no crash makes them wrong."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base


class TallyRow(Base):
    """The sum of everything that was added under one name and label."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(128), primary_key=True)
    value: Mapped[float] = mapped_column(Float)


def add_to_tallies(session: Session, amounts: dict[tuple[str, str], float]) -> None:
    """Add amounts by (name, label). The rows are written in order of their keys: two writers cannot deadlock.

    The last write of its transaction: the rows are shared by every job.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    rows = [{"name": name, "label": label, "value": value} for (name, label), value in sorted(amounts.items())]
    statement = insert(TallyRow).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "label"], set_={"value": TallyRow.value + statement.excluded.value}
        )
    )
