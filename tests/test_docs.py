"""The documentation builds as a site without a warning: every link leads somewhere, every public name is there."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape

import pytest

import frontrunner
from frontrunner.settings import Settings
from tests.conftest import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "-b",
        "html",
        DOCS,
        folder,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_site(site):
    for folder in (DOCS, DOCS / "pipelines"):
        pages = {path.stem for path in folder.glob("*.md")}
        assert pages <= {path.stem for path in (site / folder.relative_to(DOCS)).glob("*.html")}
        listed = set(re.findall(r"^([\w-]+)$", (folder / "index.md").read_text(), re.M))
        assert pages - {"index"} <= listed


def test_public_names_are_in_the_reference(site):
    shown = unescape((site / "api.html").read_text())
    missing = [name for name in frontrunner.__all__ if name not in ("discrepancy", "scores") and name not in shown]
    assert missing == []


def test_settings_are_in_theirs(site):
    shown = (site / "settings.html").read_text()
    assert [name for name in Settings.model_fields if f"FRONTRUNNER_{name.upper()}" not in shown] == []


def test_links_of_the_readme_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_pictures_of_the_readme_are_small_and_fetch_nothing():
    pictures = re.findall(r"!\[[^\]]+\]\((docs/[\w.]+)\)", (ROOT / "README.md").read_text())
    assert len(pictures) == 2
    for name in pictures:
        drawn = (ROOT / name).read_text()
        assert len(drawn.encode()) <= 60_000
        assert "://" not in drawn.replace("http://www.w3.org/2000/svg", "")
