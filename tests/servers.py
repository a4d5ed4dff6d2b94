"""Servers for tests: one that is not installed fails the test in CI, and skips it elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.service import servers
from benchmarks.service.servers import S3, Postgres, Redis, ServerMissing


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL server, for as long as the block lasts."""
    with _or_skip(), servers.postgres_server(folder) as server:
        yield server


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """A Redis server, for as long as the block lasts."""
    with _or_skip(), servers.redis_server(folder) as server:
        yield server


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """An S3 server, for as long as the block lasts."""
    with _or_skip(), servers.s3_server(folder) as server:
        yield server


def require(program: str | None, name: str) -> str:
    """The program's path; without it the test fails in CI and is skipped elsewhere."""
    with _or_skip():
        return servers.require(program, name)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _or_skip() -> Iterator[None]:
    try:
        yield
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
