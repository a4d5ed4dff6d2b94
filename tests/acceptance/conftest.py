"""Servers, data and what a right result is, for tests of the production shape."""

from __future__ import annotations

from pathlib import Path

import pytest

import frontrunner
from benchmarks.service.fleet import SETS, write_features
from frontrunner.settings import Settings
from tests.servers import postgres_server, redis_server, s3_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def features(tmp_path_factory) -> Path:
    return write_features(tmp_path_factory.mktemp("features") / "features.npz", SETS)


@pytest.fixture(scope="session")
def expected(features, tmp_path_factory) -> dict[str, float]:
    """What this library ranks the same data as, without any service."""
    ranking = frontrunner.rank(features, settings=Settings(home=tmp_path_factory.mktemp("local"), packages=False))
    return {line.checkpoint: line.scores["logme"].value for line in ranking.ranking}
