"""The catalogue of checkpoints in the database, kept in step with the hubs that this machine sees."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from frontrunner.hub import Catalogue, CheckpointDescription, SkippedCheckpoint, find_checkpoints
from frontrunner.settings import Settings
from models.base import database_now
from models.checkpoint import CheckpointRow
from models.database import Database


def store_catalogue(session: Session, catalogue: Catalogue) -> None:
    """Write what was found; checkpoints that are no longer found stay known but are not offered."""
    now = session.scalar(select(database_now())) or 0.0
    session.execute(update(CheckpointRow).values(available=False))
    for found in catalogue.checkpoints:
        session.merge(
            CheckpointRow(
                id=found.id,
                digest=found.digest,
                modality=found.modality,
                parameters=found.parameters,
                description=found.model_dump(mode="json"),
                error_code=None,
                error_reason=None,
                available=True,
                seen_at=now,
            )
        )
    usable = {found.id for found in catalogue.checkpoints}
    for broken in catalogue.skipped:
        if broken.checkpoint not in usable:
            session.merge(
                CheckpointRow(
                    id=broken.checkpoint,
                    digest=None,
                    modality=None,
                    parameters=None,
                    description=None,
                    error_code=broken.code,
                    error_reason=broken.reason[:1000],
                    available=True,
                    seen_at=now,
                )
            )


def refresh_catalogue(database: Database, settings: Settings) -> None:
    """Look into the hubs that this machine sees and store what they offer; one that sees none changes nothing."""
    found = find_checkpoints([hub for hub in settings.hub if hub.is_dir()], settings.packages)
    if found.checkpoints or found.skipped:
        with database.writing() as session:
            store_catalogue(session, found)


def load_catalogue(session: Session) -> Catalogue:
    """The checkpoints on offer, and those that cannot be used."""
    rows = session.scalars(select(CheckpointRow).where(CheckpointRow.available).order_by(CheckpointRow.id)).all()
    return Catalogue(
        checkpoints=tuple(
            CheckpointDescription.model_validate(row.description) for row in rows if row.description is not None
        ),
        skipped=tuple(
            SkippedCheckpoint(checkpoint=row.id, code=row.error_code, reason=row.error_reason or "")
            for row in rows
            if row.error_code is not None
        ),
    )
