"""A service on this machine, and data that it ranks without any model: the same for every orchestrator."""

from __future__ import annotations

from pathlib import Path

import pytest

import frontrunner
from benchmarks.service.fleet import write_features
from frontrunner.settings import Settings
from tests.acceptance.service import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home = tmp_path_factory.mktemp("service")
    (home / "hub").mkdir()
    with serving(home / "home", home / "hub", poll_period_s=0.3) as running:
        yield running


@pytest.fixture(scope="session")
def features(tmp_path_factory) -> Path:
    """Three sets of features, as of three checkpoints; the more classes stand out, the later in their order."""
    return write_features(tmp_path_factory.mktemp("data") / "features.npz", sets=3, examples=120)


@pytest.fixture(scope="session")
def expected(features, tmp_path_factory) -> list[str]:
    """The checkpoints, best first, as this library ranks them without any service."""
    settings = Settings(home=tmp_path_factory.mktemp("local"), packages=False)
    ranking = frontrunner.rank(features, scores=["logme", "knn"], settings=settings)
    return [line.checkpoint for line in ranking.ranking]


def jobs_of(service: Service) -> list[dict]:
    """Every job that the service was given."""
    return service.http.get("/v1/jobs").raise_for_status().json()["items"]
