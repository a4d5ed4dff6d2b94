"""The schema's history: one Alembic tree for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from frontrunner.errors import SchemaUnknown
from models import Database

# Of PostgreSQL's advisory locks: one process at a time changes the schema.
_LOCK = 4_172_025


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to a revision, the newest by default; does nothing where it is there already.

    Raises:
        SchemaUnknown: a newer version of this program has been at it.
    """
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if unknown := set(_revisions(database)) - known:
        raise SchemaUnknown(
            f"the database's schema is at revision {', '.join(unknown)}, which this version does not know: a newer one "
            "has migrated it; run that one, or restore a backup"
        )
    _bring(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Bring the schema back to an older revision; what that one has no place for is dropped."""
    _bring(database, command.downgrade, revision)


def is_current(database: Database) -> bool:
    """Whether the schema is at the newest revision."""
    return set(_revisions(database)) == set(ScriptDirectory.from_config(_config()).get_heads())


def _revisions(database: Database) -> tuple[str, ...]:
    with database.read_transaction() as session:
        return MigrationContext.configure(session.connection()).get_current_heads()


def _bring(database: Database, move: Callable[[Config, str], None], revision: str) -> None:
    with (
        database.engine.connect() as connection,
        _free_of_foreign_keys(connection, database.is_sqlite),
        connection.begin(),
    ):
        if not database.is_sqlite:  # where BEGIN IMMEDIATE has the same effect
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        config = _config()
        config.attributes["connection"] = connection
        move(config, revision)


@contextmanager
def _free_of_foreign_keys(connection: Connection, is_sqlite: bool) -> Iterator[None]:
    """SQLite alters a table by copying and dropping it: with foreign keys on, that would delete what refers to it.

    They can be switched outside a transaction only.
    """
    if not is_sqlite:
        yield
        return
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - the connection is open
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
