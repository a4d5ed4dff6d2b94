"""`frontrunner admin migrate` waits for a database that starts, and says in a line why it cannot be used."""

from __future__ import annotations

import socket
import threading

import pytest
from typer.testing import CliRunner

import migrations
from frontrunner.settings import get_settings
from jobs.commands.admin import admin
from models import Database
from tests.servers import postgres_server


@pytest.fixture
def migrate(monkeypatch, tmp_path):
    """Runs the command on the database of an address."""

    def run(url, *options):
        monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("FRONTRUNNER_DATABASE_URL", url)
        get_settings.cache_clear()
        return CliRunner().invoke(admin, ["migrate", *options])

    yield run
    get_settings.cache_clear()


def test_a_database_that_stays_away_ends_the_command_with_two_lines_and_no_password(migrate):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and not listening
        found = migrate(f"postgresql://me:secret@127.0.0.1:{nobody.getsockname()[1]}/none", "--wait", "0.6")
    assert found.exit_code == 5
    first, second = found.stderr.strip().splitlines()
    assert first.startswith("waiting up to 0.6 s for the database: ")
    assert second.startswith("the database cannot be used: ")
    assert "refused" in second.lower()
    assert "secret" not in found.output


def test_a_database_that_comes_up_later_is_migrated(migrate, tmp_path):
    (tmp_path / "postgres").mkdir()
    with postgres_server(tmp_path / "postgres") as server:
        server.stop()
        starting = threading.Timer(1.5, server.start)
        starting.start()
        found = migrate(server.url)
        starting.join()
        assert found.exit_code == 0, found.output
        assert found.stderr.startswith("waiting up to 60 s for the database: ")
        database = Database(server.url)
        assert migrations.is_current(database)
        database.close()
