"""Workers that beat, and the lease by which one of them is the reaper."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class WorkerRow(Base):
    """One worker process, alive while `seen_at` is recent."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    seen_at: Mapped[float] = mapped_column(Float, index=True)


class RoleRow(Base):
    """A duty that one worker at a time holds, until `held_until` on the database's clock."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(255))
    held_until: Mapped[float] = mapped_column(Float)
