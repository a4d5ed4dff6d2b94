"""What the README shows runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.commands import run_command
from tests.conftest import ROOT, class_images


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code, tmp_path):
    environment = os.environ | {"FRONTRUNNER_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "Use features:features" in done.stdout


def test_frontrunner_commands_run(tmp_path, colours, hub, zip_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.zip").write_bytes(colours.read_bytes())
    (tmp_path / "leaves.zip").write_bytes(zip_of(class_images(3, 12, seed=5)).read_bytes())
    (tmp_path / "checkpoints").symlink_to(hub)
    shown = "\n".join(blocks("sh"))
    named = "rank|tune|evaluate|datasets|checkpoints|scores|tasks"
    commands = re.findall(rf"^frontrunner ((?:{named})\b.*?)(?: +#.*)?$", shown, re.M)
    assert len(commands) == 8
    for command in commands:
        done = run_command(*command.split(), FRONTRUNNER_HOME=str(tmp_path / "home"))
        assert done.returncode == 0, (command, done.stderr)


def test_every_dependency_is_explained():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(name for extra in ("images", "service", "texts") for name in extras[extra])]
    names = [re.split(r"[\[<>=]", entry)[0] for entry in needed]
    assert [name for name in names if not re.search(rf"\b{name}\b", explained)] == []


def test_constraints_hold_no_addresses():
    assert not re.search(r"://|file:|@ ", (ROOT / "constraints.txt").read_text())
