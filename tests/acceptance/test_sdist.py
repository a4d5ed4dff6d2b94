"""The source distribution: what is built of it is what is built of this checkout, and versions agree everywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import frontrunner
from tests.conftest import ROOT

pytestmark = pytest.mark.acceptance

SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def contents(source: Path, folder: Path) -> dict[str, bytes]:
    """The wheel that is built of a source tree or a source distribution, file by file; `RECORD` names the rest."""
    folder.mkdir()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("frontrunner-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_a_wheel_of_the_source_distribution_is_that_of_the_checkout(tmp_path):
    checkout = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in tracked.decode().split("\0")[:-1]:
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, checkout / name)
    subprocess.run([sys.executable, "-c", SDIST, tmp_path], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = tmp_path.glob("frontrunner-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"} <= names
    shutil.rmtree(checkout / "build", ignore_errors=True)
    expected = contents(checkout, tmp_path / "of-checkout")
    found = contents(sdist, tmp_path / "of-sdist")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert "frontrunner/py.typed" in found


def test_every_place_that_names_the_version_names_the_same():
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "frontrunner" / "Chart.yaml").read_text())
    named = {
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "CITATION.cff": yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"],
        "Chart.yaml": chart["version"],
        "Chart.yaml's appVersion": chart["appVersion"],
    }
    assert set(named.values()) == {frontrunner.__version__}, named
