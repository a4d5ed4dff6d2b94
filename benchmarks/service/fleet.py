"""The production shape as real processes: PostgreSQL, Redis, API processes, workers and their runners."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from sqlalchemy import select

import migrations
from benchmarks.service.servers import Postgres, Redis, free_port, wait_until
from frontrunner.processes import module_command
from models import CounterRow, Database, JobRow, StepRow

# Steps of a job: enough that it is under way for a second or two.
SETS = 30
# Long enough that a worker which a busy machine keeps waiting is not taken for dead.
LEASE_S = 5.0
REAPER_S = 0.5
QUICK = {
    "LEASE_S": LEASE_S, "HEARTBEAT_S": 0.2, "REAPER_PERIOD_S": REAPER_S, "POLL_PERIOD_S": 1.0, "RETRY_DELAY_S": 0.2,
    "PACKAGES": "false",
}  # fmt: skip


@dataclass
class Fleet:
    """Servers shared by many tests; a database, a home and processes of its own."""

    postgres: Postgres | None
    redis: Redis | None
    home: Path
    database: Database
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_api(self, *command: str, limit_bytes: int | None = None) -> subprocess.Popen[bytes]:
        """Start an API process and wait until it answers."""
        command = command or (
            *module_command("frontrunner.cli", "serve", "--api-only"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        )
        process = self.start(*command, limit_bytes=limit_bytes)
        wait_until(lambda: self._is_up(process) and self.get("/livez") is not None, 180, "the API's start")
        return process

    def start_worker(
        self, *options: str, limit_bytes: int | None = None, **settings: object
    ) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it has looked for work once."""
        known = self.workers_seen()
        process = self.start(
            *module_command("frontrunner.cli", "worker", *options), limit_bytes=limit_bytes, **settings
        )
        wait_until(lambda: self._is_up(process) and self.workers_seen() > known, 180, "the worker's start")
        return process

    def _is_up(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, f"it ended at once with {process.returncode}: {self.logs()[-3000:]}"
        return True

    def start(self, *command: str, limit_bytes: int | None = None, **settings: object) -> subprocess.Popen[bytes]:
        """Start any process of the service; `limit_bytes` is the largest file that it may write."""
        given = {f"FRONTRUNNER_{name.upper()}": str(value) for name, value in settings.items()}

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))

        with (self.home / f"log-{len(self.processes)}.txt").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self.environment | given,
                stdout=log,
                stderr=log,
                preexec_fn=None if limit_bytes is None else limit,
            )
        self.processes.append(process)
        return process

    def get(self, path: str) -> httpx.Response | None:
        """An answer, or None where nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)
        except httpx.TransportError:
            return None

    def post(self, path: str, **more: Any) -> httpx.Response:
        """An answer."""
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", timeout=60, **more)

    def upload(self, path: Path) -> str:
        """A dataset's id."""
        with path.open("rb") as file:
            answer = self.post("/v1/datasets", files={"file": (path.name, file)})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def rank(self, dataset: str, **request: object) -> str:
        """A job's id."""
        answer = self.post("/v1/rankings", json={"dataset": dataset, **request})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> JobRow:
        """The job's row."""
        with self.database.read_transaction() as session:
            return session.get_one(JobRow, job_id)

    def steps(self, job_id: str) -> list[StepRow]:
        """The job's steps, in order."""
        with self.database.read_transaction() as session:
            return list(session.scalars(select(StepRow).where(StepRow.job_id == job_id).order_by(StepRow.ordinal)))

    def wait(self, *job_ids: str, timeout_s: float = 300.0) -> None:
        """Wait until the jobs are over."""
        for job_id in job_ids:
            wait_until(
                lambda job_id=job_id: self.job(job_id).finished_at is not None, timeout_s, f"the end of {job_id}"
            )

    def counters(self) -> dict[tuple[str, str], float]:
        """Everything that was counted, by name and label."""
        with self.database.read_transaction() as session:
            return {(row.name, row.label): row.value for row in session.scalars(select(CounterRow))}

    def workers_seen(self) -> int:
        """How many workers have beaten."""
        from models import WorkerRow

        with self.database.read_transaction() as session:
            return len(session.scalars(select(WorkerRow.id)).all())

    def runners(self) -> list[psutil.Process]:
        """Runners of all workers."""
        found = []
        for worker in self.processes:
            with contextlib.suppress(psutil.Error):
                found += [
                    child for child in psutil.Process(worker.pid).children() if "workers.runner" in child.cmdline()
                ]
        return found

    def logs(self) -> str:
        """What every process wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.home.glob("log-*.txt")))

    def close(self) -> None:
        """End every process; none may outlive its parent."""
        children = [child for process in self.processes for child in _descendants(process.pid)]
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(60)  # shards in hand are given 30 s
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.database.close()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive, f"left behind: {alive}"


def _descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


@contextlib.contextmanager
def fleet(
    postgres: Postgres | None,
    redis: Redis | None,
    home: Path,
    hub: Path | None = None,
    *,
    migrated: bool = True,
    **settings: object,
) -> Iterator[Fleet]:
    """A database of its own and no process yet; everything that is started ends with the block.

    Without servers it is the embedded setting: SQLite, and messages as files.
    """
    home.mkdir(parents=True)
    url = f"sqlite:///{home / 'frontrunner.db'}"
    if postgres is not None:
        url = postgres.new_database(f"fleet_{home.parent.name}_{home.name}"[-60:])
    database = Database(url)
    if migrated:
        migrations.upgrade(database)
    given = QUICK | {"HOME": home, "DATABASE_URL": url, "HUB": hub or ""} | settings
    if redis is not None:
        given["BROKER_URL"] = redis.url
    environment = os.environ | {f"FRONTRUNNER_{name.upper()}": str(value) for name, value in given.items()}
    running = Fleet(postgres, redis, home, database, environment | {"OMP_NUM_THREADS": "1"})
    try:
        yield running
    finally:
        running.close()


def write_features(path: Path, sets: int = 1, examples: int = 60, columns: int = 8, seed: int = 0) -> Path:
    """A dataset of precomputed features: a step for each set, none of which needs a model."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), examples // 3)
    features = {
        f"set{number:03d}": generator.normal(size=(examples, columns)) + number * 0.1 * labels[:, None]
        for number in range(sets)
    }
    np.savez(path, labels=labels, **features)
    return path
