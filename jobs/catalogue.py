"""The catalogue of checkpoints in the database: what our hubs offer, what lists say, and what reading took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, String, case, cast, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from frontrunner.hub import (
    Catalogue,
    CheckpointDescription,
    HubAccess,
    ReadingCost,
    SkippedCheckpoint,
    catalogue_of,
    hubs_of,
)
from frontrunner.hub.describing.listing import CatalogueFilter, ListedCheckpoint, label_names
from frontrunner.settings import Settings
from models.base import database_now
from models.checkpoint import CheckpointRow
from models.checkpoint_cost import CostRow
from models.database import Database
from models.upsert import upsert

IN_HUBS = "hubs"
IN_LISTS = "lists"
# Claims by strangers, cut to what a column holds.
_LENGTHS = {"pretraining": 500, "base_model": 255, "license": 100, "architecture": 128, "family": 64}


def store_catalogue(session: Session, catalogue: Catalogue) -> None:
    """Write what was found in our hubs; checkpoints that are no longer found stay known but are not offered."""
    now = _now(session)
    columns = select(CheckpointRow.id, CheckpointRow.digest).where(
        CheckpointRow.origin == IN_HUBS, CheckpointRow.error_code.is_(None)
    )
    known = dict(session.execute(columns).tuples().all())
    session.execute(update(CheckpointRow).where(CheckpointRow.origin == IN_HUBS).values(available=False))
    same = [found for found in catalogue.checkpoints if known.get(found.id) == found.digest]
    new = [found for found in catalogue.checkpoints if known.get(found.id) != found.digest]
    # Of one that has not changed only the path may have: its names of classes need not be read again.
    for found in same:
        row = {"description": found.model_dump(mode="json"), "available": True, "seen_at": now}
        session.execute(update(CheckpointRow).where(CheckpointRow.id == found.id).values(row))
    upsert(
        session,
        CheckpointRow,
        [
            _row(ListedCheckpoint.of(found), IN_HUBS, now)
            | {
                "digest": found.digest,
                "description": found.model_dump(mode="json"),
                "label_names": list(label_names(found)) or None,
                "error_code": None,
                "error_reason": None,
            }
            for found in new
        ],
    )
    usable = {found.id for found in catalogue.checkpoints}
    upsert(
        session,
        CheckpointRow,
        [
            {
                "id": broken.checkpoint,
                "origin": IN_HUBS,
                "digest": None,
                "description": None,
                "searched": broken.checkpoint.lower(),
                "error_code": broken.code,
                "error_reason": broken.reason[:1000],
                "available": True,
                "seen_at": now,
            }
            for broken in catalogue.skipped
            if broken.checkpoint not in usable
        ],
    )


def store_listed(session: Session, listed: Iterable[ListedCheckpoint]) -> int:
    """Write what a list says; returns how many. What is in our own hubs is known better and stays as it is."""
    now = _now(session)
    ours = set(session.scalars(select(CheckpointRow.id).where(CheckpointRow.origin == IN_HUBS)))
    rows = [_row(entry, IN_LISTS, now) for entry in listed if entry.id not in ours]
    upsert(session, CheckpointRow, rows)
    return len(rows)


def store_cost(session: Session, checkpoint_digest: str, cost: ReadingCost) -> None:
    """Remember what reading a checkpoint took; the last measurement on a device counts."""
    row = {
        "checkpoint_digest": checkpoint_digest,
        "device": cost.device[:100],
        "latency_ms": cost.latency_ms,
        "memory_mb": cost.memory_mb,
        "measured_at": _now(session),
    }
    upsert(session, CostRow, [row])


def refresh_catalogue(database: Database, settings: Settings) -> None:
    """Look into the hubs that this machine sees and store what they offer; one that sees none changes nothing."""
    folders = [folder for folder in settings.hub if folder.is_dir()]
    found = catalogue_of(hubs_of(HubAccess.of(settings), folders, packages=settings.packages))
    if found.checkpoints or found.skipped:
        with database.write_transaction() as session:
            store_catalogue(session, found)


def load_catalogue(session: Session) -> Catalogue:
    """The checkpoints of our hubs with their measured costs, and those that cannot be used."""
    ours = select(CheckpointRow).where(CheckpointRow.available, CheckpointRow.origin == IN_HUBS)
    rows = session.scalars(ours.order_by(CheckpointRow.id)).all()
    costs = costs_of(session, [row.digest for row in rows if row.digest])
    return Catalogue(
        checkpoints=tuple(
            CheckpointDescription.model_validate(row.description | {"costs": costs.get(row.digest or "", ())})
            for row in rows
            if row.description is not None
        ),
        skipped=tuple(
            SkippedCheckpoint(checkpoint=row.id, code=row.error_code, reason=row.error_reason or "")
            for row in rows
            if row.error_code is not None
        ),
    )


def costs_of(session: Session, digests: Sequence[str]) -> dict[str, tuple[ReadingCost, ...]]:
    """Measured costs by checkpoint digest, each ordered by device."""
    found: dict[str, tuple[ReadingCost, ...]] = {}
    for row in session.scalars(select(CostRow).where(CostRow.checkpoint_digest.in_(digests)).order_by(CostRow.device)):
        cost = ReadingCost(device=row.device, latency_ms=row.latency_ms, memory_mb=row.memory_mb)
        found[row.checkpoint_digest] = (*found.get(row.checkpoint_digest, ()), cost)
    return found


def search_catalogue(
    session: Session, wanted: CatalogueFilter, *, after: str | None = None, limit: int = 100
) -> Sequence[CheckpointRow]:
    """Rows that pass the filter, by id, beginning after the id `after`; one more than `limit` where there are more."""
    query = _matching(wanted)
    if after is not None:
        query = query.where(CheckpointRow.id > after)
    return session.scalars(query.order_by(CheckpointRow.id).limit(limit + 1)).all()


def best_matches(
    session: Session, wanted: CatalogueFilter, *, after: str | None = None, limit: int
) -> Sequence[CheckpointRow]:
    """Rows that pass the filter: of exactly the name that is searched for, of names that begin so, the most used.

    They begin after that of the id `after`, with one more than `limit` where there are more.
    """
    name = func.lower(CheckpointRow.id)
    words = (wanted.search or "").lower().strip()
    stated = _escaped(words)
    exact = or_(name == words, *(name.like(f"%{before}{stated}", escape="\\") for before in ":/"))
    begins = or_(*(name.like(f"%{before}{stated}%", escape="\\") for before in ":/"))
    place = case((exact, 0), (begins, 1), else_=2)
    order = tuple_(place, -func.coalesce(CheckpointRow.popularity, -1), CheckpointRow.id)
    query = _matching(wanted)
    if after is not None:
        query = query.where(order > select(*order.clauses).where(CheckpointRow.id == after).scalar_subquery())
    return session.scalars(query.order_by(*order.clauses).limit(limit + 1)).all()


def _matching(wanted: CatalogueFilter) -> Select[CheckpointRow]:
    query = select(CheckpointRow).where(CheckpointRow.available)
    for name in ("modality", "library", "family", "origin"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(CheckpointRow, name) == value)
    if wanted.license is not None:
        query = query.where(CheckpointRow.license.ilike(_escaped(wanted.license), escape="\\"))
    for word in (wanted.search or "").lower().split():
        query = query.where(CheckpointRow.searched.like(f"%{_escaped(word)}%", escape="\\"))
    if wanted.tag is not None:
        # JSON is text in both databases, and a tag stands in it as it would alone.
        stated = _escaped(json.dumps(wanted.tag))
        query = query.where(cast(CheckpointRow.tags, String).like(f"%{stated}%", escape="\\"))
    if wanted.min_parameters is not None:
        query = query.where(CheckpointRow.parameters >= wanted.min_parameters)
    if wanted.max_parameters is not None:
        query = query.where(CheckpointRow.parameters <= wanted.max_parameters)
    if wanted.max_flops is not None:
        query = query.where(CheckpointRow.flops <= wanted.max_flops)
    return query


def _row(entry: ListedCheckpoint, origin: str, now: float) -> dict[str, Any]:
    stated = entry.model_dump(exclude={"tags", *_LENGTHS})
    cut = {name: (getattr(entry, name) or "")[:length] or None for name, length in _LENGTHS.items()}
    return {
        **stated,
        **cut,
        "origin": origin,
        "tags": list(entry.tags) or None,
        "searched": entry.searched,
        "available": True,
        "seen_at": now,
    }


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _now(session: Session) -> float:
    return session.scalar(select(database_now())) or 0.0
