"""Roles that one worker at a time holds, by a lease on the database's clock."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from models.base import database_now
from models.role import RoleRow

REAPER = "reaper"
MAINTENANCE = "maintenance"
WEBHOOKS = "webhooks"


def take_role(session: Session, name: str, holder: str, held_s: float) -> bool:
    """Take or keep a role for `held_s` seconds; False while somebody else holds it."""
    taken = session.execute(
        update(RoleRow)
        .where(RoleRow.name == name, (RoleRow.holder == holder) | (RoleRow.held_until < database_now()))
        .values(holder=holder, held_until=database_now() + held_s)
        .returning(RoleRow.name)
    ).one_or_none()
    return taken is not None
