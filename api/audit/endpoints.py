"""`/v1/audit`: who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page
from api.problems import RESPONSES
from api.state import AdminStateDependency
from api.times import instant
from jobs.audit import acts
from models import AuditRow

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=RESPONSES)


class Act(BaseModel):
    """One entry: nothing changes it."""

    id: str
    at: datetime | None
    actor: str = Field(description="`key:ID`, `oidc:SUBJECT`, `anybody` without keys, or `command line: USER`.")
    action: str = Field(description="The operation's name in this document, or a command's.")
    resource: str = Field(description="Id of what it was done to.")
    outcome: str = Field(description="`done`, or the code of the refusal.")
    address: str
    request_id: str = Field(description="As in `X-Request-ID` and the logs.")

    @classmethod
    def of(cls, row: AuditRow) -> Act:
        """The entry of a row."""
        said = {name: getattr(row, name) for name in cls.model_fields if name != "at"}
        return cls(at=instant(row.at), **said)


@router.get("", operation_id="listActs")
def read_acts(
    state: AdminStateDependency,
    action: Annotated[str | None, Query(max_length=64)] = None,
    actor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Act]:
    """List what was done to your tenant's datasets, jobs, webhooks and keys, newest first."""
    with state.database.read_transaction() as session:
        rows = acts(session, action=action, actor=actor, before=cursor, limit=limit)
    items = [Act.of(row) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)
