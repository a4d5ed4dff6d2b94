"""The document of the interface, and the page that shows it without a network."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import threading
from shutil import which

import pytest
import uvicorn

from api.app import create_app
from api.document import document_text
from api.documentation.endpoints import ASSETS
from benchmarks.service.servers import free_port, wait_until
from tests.api.conftest import migrated
from tests.browser import browsers_environment
from tests.conftest import ROOT
from tests.servers import require


def test_the_document_in_the_repository_is_the_present_one():
    assert (ROOT / "docs" / "openapi.json").read_text() == document_text(), "run 'make openapi'"


def test_every_operation_has_a_name_of_its_own_and_says_how_it_refuses(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 30
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in names)
    for operation in operations:
        for status in ("4XX", "5XX"):
            assert operation["responses"][status]["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def test_every_reference_leads_somewhere():
    text = document_text()
    known = json.loads(text)["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= known.keys()
    assert "itemSchema" not in text, "a word of OpenAPI 3.2"


def test_vendored_files_are_those_of_the_manifest():
    manifest = {entry["file"]: entry for entry in json.loads((ASSETS / "manifest.json").read_text())}
    for name, entry in manifest.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == entry["sha256"]
        assert all((ASSETS / package["text"]).is_file() for package in entry["packages"])
    assert {path.name for path in ASSETS.glob("*.*")} == {*manifest, "manifest.json", "reference.js"}


def test_the_page_runs_files_of_this_service_alone(client):
    page = client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|https?://", page.text)
    for address in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        asset = client.get(f"/{address}")
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(("text/javascript", "text/css"))
    assert client.get("/docs/assets/manifest.json").status_code == 422
    assert client.get("/docs/assets/..%2f..%2fapp.py").status_code == 404


@pytest.fixture
def address(settings):
    """The application on a port of this machine."""
    migrated(settings)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=free_port(), log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 60, "the server's start")
    yield f"http://127.0.0.1:{server.config.port}"
    server.should_exit = True
    thread.join()


def test_a_browser_draws_it_and_finds_nothing_against_its_policy(address, tmp_path):
    """Every other host leads nowhere: what was loaded came from the service."""
    browser = require(which("chromium"), "chromium")
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr", "--v=0",
        "--virtual-time-budget=20000", "--dump-dom", f"{address}/docs",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=browsers_environment())
    for name in ("rankings-createRecommendation", "tunings-createTuning", "jobs-watchJob"):
        assert f'id="operations-{name}"' in done.stdout, done.stderr
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
