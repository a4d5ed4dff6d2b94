"""The two settings that are measured - PostgreSQL with Redis, and embedded - and how figures are printed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.service.fleet import Fleet, fleet
from benchmarks.service.servers import postgres_server, redis_server

# As installed: none of the shortened times of the tests.
AS_INSTALLED: dict[str, object] = {
    "lease_s": 30, "heartbeat_s": 1, "reaper_period_s": 5, "poll_period_s": 2, "retry_delay_s": 1,
}  # fmt: skip


@contextlib.contextmanager
def production(**settings: object) -> Iterator[Fleet]:
    """PostgreSQL and Redis on this machine, and no process of ours yet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            postgres_server(folder) as postgres,
            redis_server(folder) as redis,
            fleet(postgres, redis, folder / "home", **(AS_INSTALLED | settings)) as running,
        ):
            yield running


@contextlib.contextmanager
def embedded(**settings: object) -> Iterator[Fleet]:
    """SQLite and messages as files, and no process of ours yet."""
    with (
        tempfile.TemporaryDirectory() as name,
        fleet(None, None, Path(name) / "home", **(AS_INSTALLED | settings)) as f,
    ):
        yield f


def percentiles(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and largest, in milliseconds."""
    p50, p99, largest = np.percentile(seconds, [50, 99, 100]) * 1000
    return f"p50 {p50:7.1f}  p99 {p99:7.1f}  max {largest:7.1f} ms"


def state_of_the_machine() -> str:
    """What figures were taken on: its cores, and how many of them others were using."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the first request"
