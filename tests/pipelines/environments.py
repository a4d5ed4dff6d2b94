"""Orchestrators in virtual environments of their own: they contradict each other, and some of them our own pins.

Each holds one tool and our base installation from this checkout, as a user of the client has it: no torch, no service.
`constraints/TOOL.txt` pins what it was tried with. They lie in `build/pipelines/` and are made anew when that changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.conftest import ROOT

TOOLS = {
    "airflow": ("apache-airflow-core", "apache-airflow-providers-standard"),
    "dagster": ("dagster",),
    "dvc": ("dvc",),
    "prefect": ("prefect",),
}
CONSTRAINTS = Path(__file__).with_name("constraints")


def programs_of(tool: str) -> Path:
    """The folder of programs of the tool's environment; installed on first use."""
    folder = ROOT / "build" / "pipelines" / tool
    pins = CONSTRAINTS / f"{tool}.txt"
    wanted = hashlib.sha256(pins.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip"]
        install = [*pip, "install", "--quiet", "--constraint", pins, *TOOLS[tool], "--editable", ROOT]
        subprocess.run(install, check=True)
        _refuse_loose(subprocess.check_output([*pip, "freeze", "--exclude", "frontrunner"], text=True), pins)
        stamp.write_text(wanted)
    return folder / "bin"


def _refuse_loose(installed: str, pins: Path) -> None:
    """A package that no line pins: its next release would fail a change that has nothing to do with it."""
    pinned = pins.read_text().lower().splitlines()
    loose = [line for line in installed.splitlines() if line.lower() not in pinned]
    assert not loose, f"add to {pins.name}: {', '.join(loose)}"


def run(tool: str, command: list[str | Path], cwd: Path, **variables: object) -> str:
    """What a program of the tool's environment prints; a failure shows all that it said."""
    programs = programs_of(tool)
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = inherited | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    environment |= {name: str(value) for name, value in variables.items()}
    program = programs / command[0]
    done = subprocess.run([program, *command[1:]], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout[-6000:] + done.stderr[-6000:])
        raise AssertionError(f"{tool}: {command} ended with {done.returncode}")
    return done.stdout
