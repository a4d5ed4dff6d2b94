"""The program as a stranger has it: an installed wheel, started in a folder with a `models.py` of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx
import pytest

from benchmarks.service.fleet import write_features
from benchmarks.service.servers import free_port, wait_until
from tests.conftest import ROOT

pytestmark = pytest.mark.acceptance

ROOMS = ("api", "frontrunner", "jobs", "migrations", "models", "workers")
TRAP = "raise SystemExit('the module of a stranger was imported')\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of programs of an environment into which the wheel was installed; other packages are this one's."""
    folder = tmp_path_factory.mktemp("installed")
    # A copy: the build leaves folders behind, and would pack what an earlier one left.
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("frontrunner-*.whl")
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / "venv")}))
    install = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, cwd=folder)
    # A path in a .pth file lends packages; .pth files in it, such as that of our own editable install, are not read.
    (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return programs


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


def test_the_wheel_and_not_this_checkout_is_what_runs(installed, strangers_folder):
    code = "import frontrunner, jobs, models; print(frontrunner.__file__, jobs.__file__, models.__file__)"
    done = subprocess.run(
        [installed / "python", "-P", "-c", code], cwd=strangers_folder, capture_output=True, text=True, check=True
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
        wait_until(lambda: service.poll() is not None or _answers(f"{url}/readyz"), 60, "the service's start")
        with data.open("rb") as file:
            job = httpx.post(f"{url}/v1/recommendations", files={"file": file}, timeout=60).json()
        answer = httpx.get(f"{url}{job['result']}", headers={"Prefer": "wait=60"}, timeout=90).json()
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
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


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
