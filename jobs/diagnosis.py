"""What `frontrunner doctor` looks at of a service on this machine: database, schema, broker, workers, clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from frontrunner.diagnosis import Finding, bad, clock, doubtful, good
from frontrunner.settings import Settings
from frontrunner.status import ACTIVE
from jobs.notification import celery_app
from jobs.presence import count_alive, require_broker
from migrations import is_current
from models import Database, JobRow, database_now
from models.database import reason_of


def service_checks(settings: Settings) -> Iterator[Finding]:
    """The service that these settings make."""
    if not settings.database_url and not Path(settings.home / "frontrunner.db").exists():
        yield good("database", "none yet: 'frontrunner serve' makes one")
        return
    try:
        database = Database(settings.resolved_database_url)
    except (SQLAlchemyError, ValueError) as error:
        yield bad("database", f"FRONTRUNNER_DATABASE_URL cannot be used: {error}", "see docs/operations.md")
        return
    try:
        yield from _database(database, settings)
    finally:
        database.close()
    yield from _broker(settings)


def _database(database: Database, settings: Settings) -> Iterator[Finding]:
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    try:
        with database.read_transaction() as session:
            now = float(session.scalar(select(database_now())) or 0.0)
        current = is_current(database)
    except SQLAlchemyError as error:
        reason = reason_of(error) if isinstance(error, DBAPIError) else type(error).__name__
        yield bad("database", f"{kind}: {reason}", "start it, or mend FRONTRUNNER_DATABASE_URL")
        return
    yield good("database", f"{kind} answers")
    if not current:
        yield bad("schema", "not the one that this version expects", "run 'frontrunner admin migrate'")
        return
    yield good("schema", "the newest revision")
    if not database.is_sqlite:  # whose clock is this machine's
        yield clock("database's clock", time.time() - now, "the database")
    with database.read_transaction() as session:
        alive = count_alive(session, settings)
        waiting = session.scalar(select(func.count()).select_from(JobRow).where(JobRow.status.in_(ACTIVE))) or 0
    if alive or not waiting:
        yield good("workers", f"{alive} alive, {waiting} jobs are not over")
    else:
        yield doubtful("workers", f"none is alive, and {waiting} jobs wait", "start one with 'frontrunner worker'")


def _broker(settings: Settings) -> Iterator[Finding]:
    broker = celery_app(settings)
    try:
        require_broker(broker)
    except Exception as error:  # each transport raises its driver's own
        advice = "start it, or mend FRONTRUNNER_BROKER_URL; until then workers find work by looking"
        yield bad("broker", f"unreachable: {type(error).__name__}", advice)
    else:
        yield good("broker", "messages as files" if not settings.broker_url else "answers")
    finally:
        broker.close()
