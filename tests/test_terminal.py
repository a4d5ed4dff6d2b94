"""The command line meets hostile names, special files and homes that are none: a clear word, no trace, no hang."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from frontrunner.terminal import Terminal
from migrations import upgrade
from models import Database
from tests.conftest import class_images

HOSTILE = "x[/nope][bold]\x1b[31mred\x1b]0;title\x07\u202eltr"


def run(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "frontrunner.cli", *map(str, arguments)],
        env=os.environ | {"FRONTRUNNER_HOME": str(home), "FRONTRUNNER_PACKAGES": "false", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,  # against hanging
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """Two classes of images, one with a hostile name, and everything that a folder may hold beside files."""
    folder = tmp_path / "data"
    images = list(class_images(1, 6).values())
    for name in ("y", "x[nope][bold]\x1b[31mred"):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            (folder / name / f"{number}.png").write_bytes(image)
    os.mkfifo(folder / "y" / "pipe.png")
    os.symlink("nowhere", folder / "y" / "dangling.png")
    os.symlink("circle.png", folder / "y" / "circle.png")
    os.symlink("/dev/zero", folder / "y" / "zero.png")
    os.symlink("..", folder / "y" / "up")
    return folder


@pytest.mark.parametrize("width", [20, 200])
def test_nothing_in_a_text_is_a_command(width):
    written = io.StringIO()
    terminal = Terminal(file=written, width=width, force_terminal=True, color_system=None)
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    terminal.print(table)
    terminal.print(f"skipped {HOSTILE}", style="bold")
    shown = written.getvalue()
    assert not {"\x07", "\u202e"} & set(shown)
    assert "\x1b[31m" not in shown
    assert "\x1b]" not in shown
    if width == 200:
        assert shown.count("x[/nope][bold][31mred") == 3


def test_a_folder_with_pipes_devices_and_links_is_read(folder, tmp_path):
    done = run(tmp_path / "home", "datasets", folder)
    assert done.returncode == 0, done.stderr
    assert "x[nope][bold][31mred" in done.stdout
    assert "\x1b[31m" not in done.stdout
    assert "3 links" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_a_pipe_or_a_device_is_no_dataset(tmp_path, make):
    make(tmp_path / "x.csv")
    done = run(tmp_path / "home", "datasets", tmp_path / "x.csv")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "device" in done.stderr


@pytest.mark.parametrize("command", [("serve",), ("checkpoints", "search")])
def test_a_home_that_is_none_is_named(tmp_path, command):
    (tmp_path / "home").write_text("a file")
    done = run(tmp_path / "home", *command)
    assert (done.returncode, "Traceback" in done.stderr) == (5, False)
    assert "path_unusable" in done.stderr


@pytest.mark.parametrize("command", [("serve",), ("checkpoints", "search")])
def test_a_schema_of_a_newer_version_is_named(tmp_path, command):
    home = tmp_path / "home"
    home.mkdir()
    upgrade(Database(f"sqlite:///{home / 'frontrunner.db'}"))
    with sqlite3.connect(home / "frontrunner.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    done = run(home, *command)
    assert (done.returncode, "Traceback" in done.stderr) == (5, False)
    assert "schema_unknown" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("serve", "--api-only"),
        ("worker",),
        ("keys", "create", "a"),
        ("history", "list"),
        ("admin", "maintain"),
        ("admin", "migrate"),
    ],
)
def test_a_home_that_cannot_be_made_is_named(command):
    """As on a disk that is read-only: below /proc root makes no folder either."""
    done = run(Path("/proc/home"), *command)
    assert (done.returncode, "Traceback" in done.stderr) == (5, False), done.stderr
    assert "path_unusable: /proc/home" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("checkpoints", "search"),
        ("keys", "list"),
        ("audit",),
        ("worker",),
        ("history", "list"),
        ("admin", "maintain"),
    ],
)
def test_a_damaged_database_is_named(tmp_path, command):
    home = tmp_path / "home"
    home.mkdir()
    path = home / "frontrunner.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    path.write_bytes(path.read_bytes()[:200] + b"\xff" * 100_000)
    done = run(home, *command)
    assert (done.returncode, "Traceback" in done.stderr) == (5, False), done.stderr
    assert "database_unusable" in done.stderr


def test_a_database_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    done = run(tmp_path / "home", "keys", "list")
    assert (done.returncode, "Traceback" in done.stderr) == (5, False), done.stderr
    assert "database_unusable" in done.stderr
