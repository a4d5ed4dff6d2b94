"""The audit log: who did what, written in the transaction that does it, and never changed."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.audit import AuditRow
from models.base import new_id

DONE = "done"
# The triggers of the table let nothing be removed that is younger; maintenance removes what is older.
KEPT_S = 365 * 86_400.0
_MAX_ACTOR, _MAX_ADDRESS = 300, 64


@dataclass(frozen=True)
class Actor:
    """Who acts, from where, and in which request.

    Attributes:
        name: `key:ID`, `oidc:SUBJECT`, `anybody` of a service without keys, `command line: USER`.
        address: the client's; empty of commands.
        request_id: as in the logs; empty of commands.
    """

    name: str
    address: str = ""
    request_id: str = ""

    @classmethod
    def of_command_line(cls) -> Actor:
        """Whoever runs a command on a machine that reaches the database."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's number without a name
            user = "unknown"
        return cls(f"command line: {user}")


def note_act(session: Session, actor: Actor, tenant: str, action: str, resource: str = "", outcome: str = DONE) -> None:
    """Write one entry; it is there exactly if what the transaction does is.

    Args:
        session: of the transaction that acts.
        actor: who.
        tenant: to whose rows it is done.
        action: the operation's name.
        resource: id of what it is done to.
        outcome: `done`, or the code of the refusal.
    """
    row = AuditRow(
        id=new_id("act"),
        tenant=tenant,
        actor=actor.name[:_MAX_ACTOR],
        action=action,
        resource=resource[:255],
        outcome=outcome,
        address=actor.address[:_MAX_ADDRESS],
        request_id=actor.request_id,
    )
    session.add(row)


def acts(
    session: Session,
    *,
    tenant: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Sequence[AuditRow]:
    """Entries, newest first, of one tenant, action or actor where one is named; one more than `limit` where there are.

    Args:
        session: one of a tenant finds that tenant's alone.
        tenant: whose.
        action: as the log calls it.
        actor: as the log calls it.
        before: id of an entry; older ones follow.
        limit: how many.
    """
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
    for column, value in ((AuditRow.tenant, tenant), (AuditRow.action, action), (AuditRow.actor, actor)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(AuditRow.id < before)
    return session.scalars(query).all()
