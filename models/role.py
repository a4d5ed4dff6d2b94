"""Roles that one worker at a time holds by a lease."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class RoleRow(Base):
    """A role, and who holds it until `held_until` on the database's clock."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(255))
    held_until: Mapped[float] = mapped_column(Float)
