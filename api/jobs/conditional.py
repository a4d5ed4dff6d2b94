"""A conditional GET of a job or its result: entity tags, and waiting for a change instead of polling."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from api.jobs.resource import RETRY_AFTER_S
from api.state import State, StateDependency
from frontrunner import __version__
from frontrunner.status import Status
from jobs import lifecycle
from jobs.kinds import JobKind
from jobs.records import result_json
from models import JobRow

# Longer than this a request is not held: proxies cut connections that say nothing.
MAX_WAIT_S = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})")

# What a job at an address of results must be.
Kind: TypeAlias = JobKind[Any, Any, Any]
# What a job shows of itself, as the JSON of an answer.
Show = Callable[[State, Session, JobRow], bytes]


class ConditionalGet:
    """How a GET of a job, or of its result, is to be answered."""

    def __init__(self, state: State, known: str | None, wait_s: int | None) -> None:
        self._state = state
        self._known = {tag.strip().removeprefix("W/") for tag in (known or "").split(",") if tag.strip()}
        self._wait_s = wait_s

    async def answer(self, job_id: str, show: Show, kind: Kind | None = None) -> Response:
        """The answer: 304 where the client knows it already; a job of another `kind` is none.

        Asked to wait, it is held until there is something new to a client that sent `If-None-Match`, or until the job
        is over to one that did not; in any case until the job is over or the time is up.

        Raises:
            JobNotFound: there is none.
            KeyInvalid, ScopeMissing: whoever waited may know it no more.
        """
        if self._wait_s is not None:
            await self._hold(job_id, kind, self._wait_s)
            await self._state.still()
        version, is_over, body = await run_in_threadpool(self._read, job_id, kind, show)
        headers = {"ETag": _tag(version), "Cache-Control": "no-cache"}
        if not is_over:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        if self._wait_s is not None:
            headers["Preference-Applied"] = f"wait={self._wait_s}"
        if body is None:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def _hold(self, job_id: str, kind: Kind | None, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            version, is_over = await run_in_threadpool(self._stand, job_id, kind)
            has_news = bool(self._known) and _tag(version) not in self._known
            left = deadline - time.monotonic()
            if is_over or has_news or left <= 0:
                return
            await self._state.watcher.wait(job_id, version, left)

    def _stand(self, job_id: str, kind: Kind | None) -> tuple[int, bool]:
        with self._state.database.read_transaction() as session:
            job = lifecycle.find_job(session, job_id, kind)
            return job.version, Status(job.status).is_terminal

    def _read(self, job_id: str, kind: Kind | None, show: Show) -> tuple[int, bool, bytes | None]:
        """The job's version, whether it is over, and what is shown of it - None where the client knows this version."""
        with self._state.database.read_transaction() as session:
            job = lifecycle.find_job(session, job_id, kind)
            body = None if _tag(job.version) in self._known else show(self._state, session, job)
            return job.version, Status(job.status).is_terminal, body


def _tag(version: int) -> str:
    """Whatever a job shows changes with its version only, or with this program's."""
    return f'"{version}-{__version__}"'


def show_result(state: State, session: Session, job: JobRow) -> bytes:
    """The job's result as it stands: the row's once it is over, else made once for each version of the job."""

    def make() -> bytes:
        return result_json(session, job).encode()

    return make() if Status(job.status).is_terminal else state.shown.show(job.id, job.version, make)


async def _conditional_get(
    state: StateDependency,
    if_none_match: Annotated[str | None, Header(max_length=1000, description="An `ETag` that you know.")] = None,
    prefer: Annotated[
        str | None,
        Header(max_length=200, description=f"`wait=SECONDS` holds the answer, at most {MAX_WAIT_S} s."),
    ] = None,
) -> ConditionalGet:
    wait = _WAIT.search(prefer or "")
    return ConditionalGet(state, if_none_match, None if wait is None else min(int(wait[1]), MAX_WAIT_S))


# Of operations that answer conditionally.
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "You know this version: it is the one of `If-None-Match`"}
}

ConditionalGetDependency = Annotated[ConditionalGet, Depends(_conditional_get)]
