"""Settings that do everything quickly, and an SQLite database in their home."""

from __future__ import annotations

import pytest

import migrations
from frontrunner.settings import Settings
from models import Database


@pytest.fixture
def settings(tmp_path):
    quick = {"heartbeat_s": 0.1, "lease_s": 5.0, "reaper_period_s": 0.2, "retry_delay_s": 0.0}
    return Settings(home=tmp_path / "home", packages=False, **quick)


@pytest.fixture
def database(settings):
    settings.home.mkdir()
    database = Database(settings.resolved_database_url)
    migrations.upgrade(database)
    yield database
    database.close()
