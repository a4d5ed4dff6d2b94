"""The application in this process, on SQLite, without a worker."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

import migrations
from api.app import create_app
from frontrunner.settings import Settings
from models import Database

# Names that are not this machine's are refused.
HERE = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path, hub):
    return Settings(home=tmp_path / "home", hub=(hub,), packages=False, max_upload_bytes=2_000_000)


@pytest.fixture
def client(settings):
    with serving_here(settings) as client:
        yield client


@pytest.fixture
def database(client, settings):
    """The database that `client`'s application uses."""
    database = Database(settings.resolved_database_url)
    yield database
    database.close()


@contextmanager
def serving_here(settings):
    migrated(settings)
    with TestClient(create_app(settings), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def migrated(settings):
    """Make the home, and the database in it."""
    settings.home.mkdir()
    database = Database(settings.resolved_database_url)
    migrations.upgrade(database)
    database.close()
