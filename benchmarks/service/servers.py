"""Real servers for benchmarks and tests: PostgreSQL, Redis and an S3, as processes of our own on free ports."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_DRAWN = random.SystemRandom()


class ServerMissing(Exception):
    """A server's program is not installed here."""


def free_port() -> int:
    """A port that nobody listens on now.

    Below those that the system hands out to connections: while a server is stopped, one of its own clients that tries
    again could be given its port, and the server could not start again. Drawn by the system, not by the generator that
    a test may have seeded: two processes that look for a port at the same time must not look at the same ones.
    """
    while True:
        # Browsers refuse 10080.
        port = _DRAWN.randint(10_100, _first_of_connections() - 1)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _first_of_connections() -> int:
    """The lowest port that the system hands out to connections by itself."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > 12_000:  # else there is no room below
            return first
    return 32_000


def require(program: str | None, name: str) -> str:
    """The program's path.

    Raises:
        ServerMissing: there is none.
    """
    if program is None:
        raise ServerMissing(f"{name} is not installed")
    return program


def wait_until(check: Callable[[], object], timeout_s: float = 30.0, what: str = "it") -> None:
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


class Server:
    """A server process of our own that can be stopped, killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{folder.name}.log")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What is run."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdout=log, stderr=log, **self.credentials()
            )
        try:
            wait_until(self.answers, what=f"the start of {type(self).__name__}")
        except TimeoutError as error:
            error.add_note(self.log.read_text()[-2000:])
            raise

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait for its end."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)

    def credentials(self) -> dict[str, int]:
        """Whom it runs as."""
        return {}


class Postgres(Server):
    """PostgreSQL with one empty database; `url` is its SQLAlchemy address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "data")
        self.url = f"postgresql+psycopg://frontrunner@127.0.0.1:{self.port}/postgres"
        self._program = require(_postgres_program("postgres"), "PostgreSQL")
        self.folder.mkdir()
        # The server refuses to run as root, and another user must reach the folder.
        if user := self.credentials():
            os.chown(self.folder, user["user"], user["group"])
            for parent in self.folder.parents[:-1]:
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        initdb = require(_postgres_program("initdb"), "PostgreSQL")
        subprocess.run(
            [initdb, "-D", self.folder, "-U", "frontrunner", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            **self.credentials(),
        )

    def command(self) -> list[str]:
        """The server in the foreground, on the loopback interface only."""
        data = str(self.folder)
        return [self._program, "-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"]

    def answers(self) -> bool:
        """Whether a connection can be opened."""
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=1).close()
            return True
        return False

    def new_database(self, name: str) -> str:
        """An empty database beside the first one; its address."""
        import psycopg

        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url.removesuffix("/postgres") + f"/{name}"

    def credentials(self) -> dict[str, int]:
        """Debian's own user where we are root, which the server refuses to run as."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid}


class Redis(Server):
    """Redis that keeps nothing over a restart; `url` is its address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = require(shutil.which("redis-server"), "redis-server")

    def command(self) -> list[str]:
        """The server in the foreground, without files."""
        return [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]

    def answers(self) -> bool:
        """Whether its port is open."""
        return _listens(self.port)


class S3(Server):
    """A server that speaks S3's protocol, in memory; `environment` is what its clients need."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if importlib.util.find_spec("moto") is None:
            raise ServerMissing("moto is not installed")
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def command(self) -> list[str]:
        """The server in the foreground, on the loopback interface only."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def answers(self) -> bool:
        """Whether its port is open."""
        return _listens(self.port)

    def new_bucket(self, name: str) -> str:
        """An empty bucket; its address."""
        import s3fs

        s3fs.S3FileSystem(
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            key=self.environment["AWS_ACCESS_KEY_ID"],
            secret=self.environment["AWS_SECRET_ACCESS_KEY"],
        ).mkdir(name)
        return f"s3://{name}"


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL server, for as long as the block lasts."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGINT)  # without waiting for clients


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """A Redis server, for as long as the block lasts."""
    server = Redis(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """An S3 server, for as long as the block lasts."""
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
