"""The databases of `tests.models`, and a job in one."""

from __future__ import annotations

import pytest

from models import Database
from tests.models.conftest import database, postgres_url

__all__ = ["database", "postgres_url"]


@pytest.fixture
def job(database: Database) -> str:
    """A queued ranking of three checkpoints; its id."""
    from tests.jobs.rows import submit

    return submit(database)
