"""`/v1/jobs/{id}/events`: what happens to a job, as it happens, and from the beginning to whoever comes late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import select

from api.problems import RESPONSES
from api.state import State, StateDependency
from api.times import instant
from frontrunner.errors import FrontrunnerError
from frontrunner.status import Status
from jobs import lifecycle
from models import EventRow

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)

# Events sent before the database is asked for more.
_BATCH = 200
# A stream looks again after this long even if nobody told it of a change.
_LOOK_AGAIN_S = 15.0


def _known_job(job_id: str, state: StateDependency) -> str:
    """The id of a job that exists: a stream cannot answer 404 once it has begun."""
    with state.database.read_transaction() as session:
        return lifecycle.find_job(session, job_id).id


@router.get("/{job_id}/events", operation_id="watchJob", response_class=EventSourceResponse)
async def watch_job(
    job_id: Annotated[str, Depends(_known_job)],
    state: StateDependency,
    last_event_id: Annotated[
        int, Header(ge=0, le=2**31 - 1, description="Number of the last event that you have seen.")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the job's events, older ones first, until it is over."""
    async for event in events_of_job(state, job_id, last_event_id):
        yield event


async def events_of_job(state: State, job_id: str, seen: int) -> AsyncIterator[ServerSentEvent]:
    """What happens to a job after event `seen`, until it is over, or whoever watches may no more."""
    while True:
        try:
            await state.still()
        except FrontrunnerError:
            return  # who comes again is told why
        version, is_over, rows = await run_in_threadpool(_after, state, job_id, seen)
        for row in rows:
            seen = row.number
            at = instant(row.created_at)
            yield ServerSentEvent(id=str(row.number), event=row.type, data=row.data | {"at": at})
        if rows:
            continue
        if is_over:
            return
        await state.watcher.wait(job_id, version, _LOOK_AGAIN_S)


def _after(state: State, job_id: str, number: int) -> tuple[int, bool, list[EventRow]]:
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, job_id)
        rows = session.scalars(
            select(EventRow)
            .where(EventRow.job_id == job_id, EventRow.number > number)
            .order_by(EventRow.number)
            .limit(_BATCH)
        )
        return job.version, Status(job.status).is_terminal, list(rows)
