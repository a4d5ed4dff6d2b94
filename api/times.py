"""Times in answers: RFC 3339, UTC, from the database's seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(seconds: float | None) -> datetime | None:
    """A point in time for an answer."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
