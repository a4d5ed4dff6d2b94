"""How every kind of job is submitted: the terms come from the request's headers, the rest from its kind."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, Header, Query, Response
from sqlalchemy.exc import IntegrityError

from api.jobs.resource import RETRY_AFTER_S, JobResource, job_resource
from api.requests import correlation_id
from api.state import State, WriteStateDependency
from jobs import lifecycle
from jobs.kinds import NewJob
from jobs.lifecycle import IdempotencyKey, Terms
from jobs.notification import notify_workers
from jobs.quotas import Limits, locked_limits, require_room_for_jobs
from jobs.records import json_of

# Two processes that write the same key or the same work at once: the second finds what the first wrote.
_TRIES = 3
# Where a request names none, from 0 to 9.
_PRIORITY = 5


class Submission:
    """What a request says about its job, whatever its kind."""

    def __init__(self, state: State, idempotency_key: str | None = None, priority: int = _PRIORITY) -> None:
        self._state = state
        self._idempotency_key = idempotency_key
        self._priority = priority

    def accept(self, response: Response, new: NewJob) -> JobResource:
        """Write the job, tell workers of its steps, and answer with where to look.

        The same key and request, or the same work while it is under way, give the job that is there.

        Raises:
            IdempotencyKeyReused: the key came with another request before.
            QuotaExceeded: the tenant has as many jobs as it may, or computed as much.
        """
        job = self.submit(new)
        response.headers["Location"] = job.result
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return job

    def submit(self, new: NewJob) -> JobResource:
        """The same for who makes its own answer."""
        for _ in range(_TRIES - 1):
            try:
                return self._write(new)
            except IntegrityError:
                continue
        return self._write(new)

    def _write(self, new: NewJob) -> JobResource:
        state = self._state
        tenant = state.principal.tenant
        with (
            state.traces.span(f"submit {new.kind}", kind="producer") as span,
            state.database.write_transaction() as session,
        ):
            limits = locked_limits(session, tenant, Limits.of(state.settings))
            submitted = lifecycle.submit(session, new, self._terms(new, span.traceparent))
            span.set({"frontrunner.job": submitted.job.id, "frontrunner.new": submitted.is_new})
            queues = []
            if submitted.is_new:
                require_room_for_jobs(session, tenant, limits)
                state.note(session, submitted.job.id)
                queues = lifecycle.queues_of(session, submitted.job.id)
            session.refresh(submitted.job)
            resource = job_resource(session, submitted.job)
        notify_workers(state.broker, queues)
        return resource

    def _terms(self, new: NewJob, trace_parent: str) -> Terms:
        settings = self._state.settings
        key = None
        if self._idempotency_key is not None:
            digest = _digest(new.kind, new.dataset_id or "", json_of(new.request))
            key = IdempotencyKey(self._idempotency_key, digest, settings.idempotency_key_s)
        return Terms(
            max_attempts=settings.max_attempts,
            tenant=self._state.principal.tenant,
            priority=self._priority,
            correlation_id=correlation_id(),
            trace_parent=trace_parent,
            idempotency=key,
        )


async def _submission(
    state: WriteStateDependency,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Your name for this request: sent again, it gives the same job; with another request, 422.",
        ),
    ] = None,
    priority: Annotated[int, Query(ge=0, le=9, description="9 goes first among your jobs.")] = _PRIORITY,
) -> Submission:
    return Submission(state, idempotency_key, priority)


SubmissionDependency = Annotated[Submission, Depends(_submission)]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
