"""Duties that one worker at a time does: whoever takes one holds it for a while, on the database's clock."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from models.base import database_now
from models.worker import DutyRow

REAPER = "reaper"
MAINTENANCE = "maintenance"
WEBHOOKS = "webhooks"


def take_duty(session: Session, name: str, holder: str, held_s: float) -> bool:
    """Take or keep a duty; False while somebody else holds it."""
    taken = session.execute(
        update(DutyRow)
        .where(DutyRow.name == name, (DutyRow.holder == holder) | (DutyRow.held_until < database_now()))
        .values(holder=holder, held_until=database_now() + held_s)
        .returning(DutyRow.name)
    ).one_or_none()
    return taken is not None
