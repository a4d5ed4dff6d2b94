"""Bringing a database up to this version: its schema, and what it holds."""

from __future__ import annotations

from frontrunner.settings import Settings
from jobs.sealing import Seal, seal_what_is_not
from migrations import upgrade
from models import Database


def bring_up_to_date(database: Database, settings: Settings) -> None:
    """Migrate the schema, and seal secrets that are not sealed yet; does nothing where all is done.

    Raises:
        SchemaUnknown: a newer version of this program has been at it.
    """
    upgrade(database)
    with database.write_transaction() as session:
        seal_what_is_not(session, Seal.of(settings))
