"""Real servers for tests: PostgreSQL and Redis, started as processes of our own on free ports."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require(program: str | None, name: str) -> str:
    """The program's path; without it the test fails in CI and is skipped elsewhere."""
    if program is None:
        message = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return program


def wait_until(check, timeout_s: float = 30.0, what: str = "it") -> None:
    """Poll `check` until it is true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if check():
            return
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not happen in {timeout_s:g} s")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _postgres_program(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server with an empty database; its SQLAlchemy URL."""
    initdb = require(_postgres_program("initdb"), "PostgreSQL")
    postgres = require(_postgres_program("postgres"), "PostgreSQL")
    port = free_port()
    data = folder / "data"
    # The server refuses to run as root, and another user must reach the folder.
    drop: dict[str, int] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        drop = {"user": user.pw_uid, "group": user.pw_gid}
        data.mkdir()
        os.chown(data, user.pw_uid, user.pw_gid)
        for parent in (folder, *folder.parents[:-1]):
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [initdb, "-D", data, "-U", "frontrunner", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        cwd=data,
        **drop,
        **quiet,
    )
    server = subprocess.Popen(
        [postgres, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"],
        cwd=data,
        **drop,
        **quiet,
    )
    url = f"postgresql+psycopg://frontrunner@127.0.0.1:{port}/postgres"

    def answers() -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url.replace("+psycopg", ""), connect_timeout=1).close()
            return True
        return False

    try:
        wait_until(answers, what="PostgreSQL's start")
        yield url
    finally:
        server.terminate()
        server.wait(20)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server; its URL."""
    program = require(shutil.which("redis-server"), "redis-server")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(port), what="Redis's start")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)
