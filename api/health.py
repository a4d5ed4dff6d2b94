"""`/livez` and `/readyz`: is the process up, and can it serve."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from api.problems import RESPONSES
from api.state import PublicStateDependency, State
from jobs.presence import count_alive, require_broker
from migrations import is_current
from models import Base
from models.database import reason_of

router = APIRouter(tags=["health"], responses=RESPONSES)

# With less room than this an upload, a shard or the database's own log is about to fail.
MIN_FREE_BYTES = 64 << 20
_PROBE_BYTES = 64 << 10


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Each part on its own: `ok`, or what is wrong with it."""

    database: str
    broker: str
    workers: str
    storage: str


@router.head("/livez", include_in_schema=False)
@router.get("/livez", operation_id="getLiveness")
async def live() -> Live:
    """Whether the process runs."""
    return Live()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", operation_id="getReadiness", responses={503: {"model": Ready}})
def ready(response: Response, state: PublicStateDependency) -> Ready:
    """Whether jobs are accepted and done: each part apart; 503 unless all are ok."""
    found = Ready(
        database=_database(state), broker=_broker(state), workers=_workers(state), storage=_storage(state.settings.home)
    )
    if set(found.model_dump().values()) != {"ok"}:
        response.status_code = 503
    return found


def _database(state: State) -> str:
    try:
        if not is_current(state.database):
            return "its schema is not the one that this version expects: run 'frontrunner admin migrate'"
        with state.database.read_transaction() as session:
            for table in Base.metadata.sorted_tables:  # a damaged file opens, and fails where it is damaged
                session.execute(select(table).limit(1)).all()
    except SQLAlchemyError as error:
        return f"unreachable: {reason_of(error) if isinstance(error, DBAPIError) else type(error).__name__}"
    return "ok"


def _storage(home: Path) -> str:
    """Whether uploads find room: some is left, and a file can be written."""
    try:
        if shutil.disk_usage(home).free < MIN_FREE_BYTES:
            return f"full: less than {MIN_FREE_BYTES:,} bytes are left"
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
    except OSError as error:
        return f"not writable: {error.strerror}"
    return "ok"


def _broker(state: State) -> str:
    try:
        require_broker(state.broker)
    except Exception as error:  # each transport raises its driver's own
        return f"unreachable: {type(error).__name__}"
    return "ok"


def _workers(state: State) -> str:
    try:
        with state.database.read_transaction() as session:
            alive = count_alive(session, state.settings)
    except SQLAlchemyError:
        return "unknown: the database is unreachable"
    return "ok" if alive else "none is alive: start one with 'frontrunner worker'"
