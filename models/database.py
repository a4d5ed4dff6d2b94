"""The database: engine, transactions, schema version. One set of rules for SQLite and PostgreSQL."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.base import database_now
from models.tenant import TENANT

_BUSY_TIMEOUT_MS = 30_000
_REASON_CHARACTERS = 300


class Database:
    """Opens transactions. Reading ones never block; writing ones are short and committed as a whole."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        # As many connections as the API has threads, so that none of them waits for one.
        pool = {"pool_pre_ping": True, "pool_size": 20, "max_overflow": 20}
        options: dict[str, Any] = {} if self.is_sqlite else pool
        self._info: dict[Any, Any] = {}
        self.engine = create_engine(parsed, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def of_tenant(self, tenant: str) -> Database:
        """The same database for one tenant: its transactions see and write that tenant's rows alone."""
        narrowed = copy.copy(self)
        narrowed._info = {TENANT: tenant}
        return narrowed

    @contextmanager
    def read_transaction(self) -> Iterator[Session]:
        """A transaction that only reads; it sees one state of the database throughout."""
        with (
            self.engine.connect().execution_options(frontrunner_reads=True) as connection,
            Session(connection, info=self._info) as session,
        ):
            yield session

    @contextmanager
    def write_transaction(self) -> Iterator[Session]:
        """A transaction that is committed at the end of the block, or rolled back if it raises."""
        with Session(self.engine, expire_on_commit=False, info=self._info) as session, session.begin():
            yield session

    def now(self) -> float:
        """The database's clock, in seconds since 1970."""
        with self.read_transaction() as session:
            return float(session.scalar(select(database_now())) or 0.0)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def reason_of(error: DBAPIError) -> str:
    """What the driver says, on one line and without the statement."""
    return " ".join(str(error.orig).split())[:_REASON_CHARACTERS]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions on its own, and DEFERRED: two that read before they write then lose one
    # another's work. It is told not to, and `_begin_sqlite` begins them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("frontrunner_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
