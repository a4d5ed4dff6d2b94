"""`/admin`: what waits, who works, what is kept, whose keys there are, and who did what."""

from __future__ import annotations

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.pages.rendering import go, page
from api.pages.visits import AdministerVisit, AdminVisit, Visit
from api.paging import Cursor
from frontrunner.errors import FrontrunnerError
from frontrunner.status import Status
from jobs.audit import acts
from jobs.keys import KeyNotFound, Scope, create_key, revoke_key
from jobs.presence import longest_silence_s
from jobs.quotas import Limits, limits_of, use_of
from jobs.secret import service_secret
from models import CounterRow, FeatureRow, KeyRow, StepRow, WorkerRow, database_now

router = APIRouter(prefix="/admin", include_in_schema=False)

_DAY_S = 86_400.0
_ACTS = 50
_MAX_DAYS = 3650.0
Words = Annotated[str, Query(max_length=300)]


class KeyUnwanted(FrontrunnerError):
    """A key needs a name and a scope, and may do no more than the key that makes it."""

    code = "key_unwanted"


@router.get("")
def show_admin(visit: AdminVisit) -> Response:
    """Queue, workers, caches, quotas and keys."""
    return _admin(visit)


@router.get("/audit")
def show_audit(visit: AdminVisit, action: Words = "", actor: Words = "", cursor: Cursor = None) -> Response:
    """The tenant's audit log, newest first."""
    with visit.state.database.read_transaction() as session:
        rows = acts(session, action=action or None, actor=actor or None, before=cursor, limit=_ACTS)
    return page(
        visit,
        "audit.html",
        acts=rows[:_ACTS],
        action=action,
        actor=actor,
        next=rows[_ACTS - 1].id if len(rows) > _ACTS else "",
    )


@router.post("/keys", operation_id="createKey")
def make_key(visit: AdministerVisit) -> Response:
    """Make a key of the own tenant, and show it: the only time that anybody sees it."""
    state = visit.state
    try:
        name, scopes, valid_s = _wanted(visit)
    except KeyUnwanted as refusal:
        return _admin(visit, refusal=refusal, status=422)
    with state.database.write_transaction() as session:
        row, key = create_key(
            session,
            service_secret(state.settings),
            name=name,
            tenant=state.principal.tenant,
            scopes=scopes,
            valid_s=valid_s,
        )
        state.note(session, row.id)
    return page(visit, "key.html", name=name, key=key, status=201)


@router.post("/keys/{key_id}/revoke", operation_id="revokeKey")
def revoke(key_id: str, visit: AdministerVisit) -> Response:
    """Make a key good for nothing."""
    with visit.state.database.write_transaction() as session:
        if session.scalar(select(KeyRow.id).where(KeyRow.id == key_id)) is None:
            raise KeyNotFound(f"there is no key '{key_id}'")
        revoke_key(session, key_id)
        visit.state.note(session, key_id)
    return go("/admin#keys")


def _wanted(visit: Visit) -> tuple[str, list[Scope], float | None]:
    """Name, scopes and seconds of a key that is asked for.

    Raises:
        KeyUnwanted: it has no name, no scope, or more than the key that asks.
    """
    name, chosen = visit.said("name"), visit.said_all("scope")
    if not name or not chosen or not set(chosen) <= {str(scope) for scope in visit.state.principal.scopes}:
        raise KeyUnwanted("a key needs a name and at least one scope of those that yours has")
    try:
        days = float(visit.said("days") or 0)
    except ValueError:
        days = -1.0
    if not 0 <= days <= _MAX_DAYS:
        raise KeyUnwanted(f"a key is good for at most {_MAX_DAYS:g} days, or for ever where nothing is said")
    return name, [Scope(word) for word in chosen], days * _DAY_S or None


def _admin(visit: Visit, *, status: int = 200, refusal: FrontrunnerError | None = None) -> Response:
    state = visit.state
    # As /metrics does: counts of the whole service, and no tenant's rows.
    with visit.request.app.state.frontrunner.database.read_transaction() as session:
        now = session.scalar(select(database_now())) or 0.0
        service = _service(session, now, longest_silence_s(state.settings))
    with state.database.read_transaction() as session:
        tenant = state.principal.tenant
        limits, used = limits_of(session, tenant, Limits.of(state.settings)), use_of(session, tenant)
        keys = [
            {"row": row, "state": _state_of(row, now)}
            for row in session.scalars(select(KeyRow).order_by(KeyRow.created_at.desc()))
        ]
    quotas = [
        ("Bytes of datasets", used.bytes, limits.bytes),
        ("Datasets", used.datasets, limits.datasets),
        ("Jobs that are not over", used.jobs, limits.jobs),
        ("Seconds of compute in an hour", round(used.compute_s), limits.compute_s),
    ]
    return page(
        visit,
        "admin.html",
        status=status,
        refusal=refusal,
        keys=keys,
        quotas=quotas,
        scopes=[scope for scope in Scope if scope in state.principal.scopes],
        free_bytes=shutil.disk_usage(state.settings.home).free,
        **service,
    )


def _service(session: Session, now: float, alive_s: float) -> dict[str, Any]:
    """What is waiting and done, over all tenants, in numbers."""
    waiting = (
        select(StepRow.queue, func.count(), func.min(StepRow.available_at))
        .where(StepRow.status == Status.QUEUED)
        .group_by(StepRow.queue)
    )
    running = dict(
        session.execute(
            select(StepRow.queue, func.count()).where(StepRow.status == Status.RUNNING).group_by(StepRow.queue)
        ).all()
    )
    depth = {queue: (steps, max(now - oldest, 0.0)) for queue, steps, oldest in session.execute(waiting)}
    sums = select(CounterRow.name, func.sum(CounterRow.value)).group_by(CounterRow.name)
    counts = dict(session.execute(sums).all())
    return {
        "queues": [(name, *depth.get(name, (0, 0.0)), running.get(name, 0)) for name in sorted({*depth, *running})],
        "workers": [
            (row.id, row.seen_at, row.seen_at > now - alive_s)
            for row in session.scalars(select(WorkerRow).order_by(WorkerRow.seen_at.desc()).limit(50))
        ],
        "features": session.execute(select(func.count(), func.coalesce(func.sum(FeatureRow.bytes), 0))).one(),
        "cached": counts.get("cached_examples", 0.0),
        "read": counts.get("forward_examples", 0.0),
    }


def _state_of(row: KeyRow, now: float) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at < now else "good"
