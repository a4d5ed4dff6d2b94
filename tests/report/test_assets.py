"""What is vendored is what its manifest says, and nothing in the assets comes from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from frontrunner.report import assets
from frontrunner.report.templates import environment, json_script

FOLDER = Path(assets.__file__).parent
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
LOCK = json.loads((FOLDER.parent / "vendoring" / "package-lock.json").read_text())


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_a_vendored_file_has_the_checksum_of_its_manifest(entry):
    assert hashlib.sha256((FOLDER / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_every_package_inside_is_the_locked_one_and_has_its_licence(entry):
    for package in entry["packages"]:
        locked = LOCK["packages"][f"node_modules/{package['name']}"]
        assert (package["version"], package["integrity"]) == (locked["version"], locked["integrity"])
        assert re.search("permi(ssion|tted)", (FOLDER / package["text"]).read_text(), re.IGNORECASE)
        assert package["license"] in {"ISC", "BSD-3-Clause", "BSD-0-Clause", "MIT"}


def test_whatever_is_not_ours_is_in_the_manifest():
    ours = re.compile(r"charts\.js|charts/\w+\.js|style\.css|manifest\.json|licences/.*")
    assert {name for name in assets.names() if not ours.fullmatch(name)} == {entry["file"] for entry in MANIFEST}


def test_the_lock_names_no_host():
    assert "resolved" not in (FOLDER.parent / "vendoring" / "package-lock.json").read_text()


def test_our_own_files_load_nothing_from_elsewhere():
    for name in assets.names():
        if name == "style.css" or name.startswith("charts"):
            assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", assets.read(name).text) == [], name


def test_modules_import_modules_that_are_there():
    for name in assets.names():
        if name.startswith("charts"):
            folder = Path(name).parent
            for path in re.findall(r'(?:from |import\()"(\.[^"]+)"', assets.read(name).text):
                parts: list[str] = []
                for part in (folder / path).parts:
                    parts = parts[:-1] if part == ".." else [*parts, part]
                assert "/".join(parts) in assets.names(), (name, path)


def test_data_cannot_end_its_script_element():
    hostile = {"name": "</script><script>alert(1)</script><!--\u2028&"}
    text = str(json_script(hostile))
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == hostile


def test_a_figure_keeps_room_for_its_lines_and_escapes_its_title():
    template = environment().from_string(
        '{% from "charts.html" import chart %}{{ chart("scores", "d", title="<b>", items=3) }}'
    )
    html = template.render()
    assert "&lt;b&gt;" in html
    assert 'class="wide" width="1" height="122"' in html  # 44 for the axis and 26 a line
