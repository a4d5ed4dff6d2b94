"""What all tables share: the declarative base, constraint names, ids, and the database's clock."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sqlalchemy import Float, MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.functions import FunctionElement

# Names that both databases keep, so that migrations can address a constraint.
_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table's base. Times are seconds since 1970, UTC, from the database's clock."""

    metadata = MetaData(naming_convention=_CONVENTION)


class database_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function that it is
    """The database's own clock, in seconds since 1970: leases of many machines compare on one clock."""

    type = Float()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _sqlite_now(_element: Any, _compiler: Any, **_kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _postgresql_now(_element: Any, _compiler: Any, **_kwargs: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


def new_id(prefix: str) -> str:
    """A fresh id that sorts by time: prefix, 48 bits of milliseconds, 64 random bits, hexadecimal."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
