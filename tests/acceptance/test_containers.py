"""The container files: linted, checked against their schema, and their commands run outside a container."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from benchmarks.service.fleet import fleet, write_features
from benchmarks.service.servers import wait_until
from tests.conftest import ROOT
from tests.servers import postgres_server, redis_server, require

pytestmark = pytest.mark.acceptance

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def beside_python(program: str) -> str:
    """A program that the test extra installs."""
    path = Path(sys.executable).parent / program
    return require(str(path) if path.exists() else shutil.which(program), program)


def test_the_dockerfile_has_no_lint():
    done = subprocess.run([beside_python("hadolint"), "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_fits_its_schema():
    command = [beside_python("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_in_stages_for_both_devices_and_runs_as_nobody_special():
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.M)
    assert [name for _, name in stages] == ["build", "runtime", "cpu", "gpu", ""]
    assert stages[-1][0] == "${DEVICE}"
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9][0-9]+$", last, re.M)
    assert "HEALTHCHECK" in last
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.M))
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert copied == {name.removesuffix("*") for name in packaged}


def test_redis_appends_and_evicts_nothing():
    assert SERVICES["redis"]["command"] == ["redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]


def test_workers_are_given_longer_to_stop_than_they_take():
    from frontrunner.settings import Settings

    for name in ("worker", "worker-gpu"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > Settings().stop_grace_s


def outside(command: list[str], port: int) -> list[str]:
    """A container's command as it runs here: this environment's programs, a free port, this machine only."""
    here = {"frontrunner": ["-m", "frontrunner.cli"], "python": []}
    replaced = {"8000": str(port), "0.0.0.0": "127.0.0.1"}  # noqa: S104 - what is replaced, not bound to
    arguments = [replaced.get(part, part).replace(":8000/", f":{port}/") for part in command[1:]]
    return [sys.executable, *here[command[0]], *arguments]


def test_every_start_command_of_the_compose_file_works(tmp_path):
    with (
        postgres_server(tmp_path) as postgres,
        redis_server(tmp_path) as redis,
        fleet(postgres, redis, tmp_path / "home", migrated=False) as service,
    ):
        migrate = service.start(*outside(SERVICES["migrate"]["command"], service.port))
        assert migrate.wait(60) == 0, service.logs()
        service.start_api(*outside(SERVICES["api"]["command"], service.port))
        assert service.get("/readyz").status_code == 503
        for name in ("worker", "worker-gpu"):
            service.start(*outside(SERVICES[name]["command"], service.port))
        wait_until(lambda: service.workers_seen() == 2, 60, "both workers' start")
        assert service.get("/readyz").json() == {
            "database": "ok",
            "broker": "ok",
            "workers": "ok",
            "storage": "ok",
        }
        job = service.rank(service.upload(write_features(tmp_path / "f.npz")))
        service.wait(job)
        assert service.job(job).status == "succeeded"
        check = json.loads(re.search(r"^HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE, re.M)[1])
        subprocess.run(outside(check, service.port), check=True)


def test_the_images_own_command_works(tmp_path):
    command = json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.M)[1])
    assert command == ["frontrunner", "serve"]  # what every test of the embedded service starts


def test_every_setting_in_the_container_files_exists():
    from frontrunner.settings import Settings

    known = {f"FRONTRUNNER_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"\b(FRONTRUNNER_[A-Z_]+)=", DOCKERFILE)) | COMPOSE["x-frontrunner"]["environment"].keys()
    assert used <= known | {"PGPASSWORD"}, "beside ours, the variable that libpq reads"
