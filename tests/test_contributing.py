"""The guide for contributors names files that are there."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

ROOMS = ("api", "frontrunner", "jobs", "migrations", "models", "workers")


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/security.md"])
def test_every_file_and_folder_that_is_named_exists(document):
    named = re.findall(r"`([a-z_./]+)`", (ROOT / document).read_text())
    paths = [name for name in named if name.split("/")[0] in ROOMS and "NAME" not in name]
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []
