"""`frontrunner doctor`: each part as it is, and as it is broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

import migrations
from frontrunner import diagnosis
from frontrunner.cli import build_app
from frontrunner.diagnosis import Diagnosis, Finding, Verdict, clock, diagnose
from frontrunner.settings import Settings, get_settings
from models import Database


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", hub_mode="offline", packages=False)


def found(settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose(settings)}


def changed(settings, **fields) -> Settings:
    return settings.model_copy(update=fields)


@pytest.fixture
def hub():
    """A hub that answers, an hour behind."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() - 3600, usegmt=True))
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_machine_that_lacks_nothing(settings, tmp_path):
    parts = found(changed(settings, hub=(tmp_path,)))
    assert {"versions", "libraries", "processors", "GPU", "memory", "disk", "store", "hub folders", "hub"} <= set(parts)
    assert {parts[name].verdict for name in ("versions", "libraries", "disk", "store", "hub", "database")} == {"ok"}
    assert "torch" in parts["libraries"].found
    assert not list(settings.home.rglob("*doctor*/*")), "what was written is gone"
    assert not (settings.home / "frontrunner.db").exists(), "a look makes no database"


def test_the_database_and_the_workers_of_a_service(settings):
    settings.home.mkdir()
    database = Database(settings.resolved_database_url)
    with database.engine.begin():
        pass
    parts = found(settings)
    assert (parts["schema"].verdict, parts["schema"].advice) == ("error", "run 'frontrunner admin migrate'")
    migrations.upgrade(database)
    database.close()
    parts = found(settings)
    assert [parts[name].verdict for name in ("database", "schema", "workers", "broker")] == ["ok"] * 4
    assert parts["workers"].found == "0 alive, 0 jobs are not over"


def test_what_is_broken_is_told_with_what_to_do(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    parts = found(
        changed(
            settings,
            hub=(tmp_path / "gone",),
            database_url="postgresql+psycopg://nobody@127.0.0.1:9/none",
            broker_url="redis://127.0.0.1:9",
            store_url=str(tmp_path / "file" / "below"),
        )
    )
    for name, said in (("hub folders", "FRONTRUNNER_HUB"), ("database", "FRONTRUNNER_DATABASE_URL"),
                       ("broker", "FRONTRUNNER_BROKER_URL"), ("store", "write")):  # fmt: skip
        assert parts[name].verdict == "error", name
        assert said in parts[name].advice
    assert "Traceback" not in str(parts)


def test_a_home_that_cannot_be_written_to(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    parts = found(changed(settings, home=tmp_path / "file" / "home"))
    assert (parts["disk"].verdict, "FRONTRUNNER_HOME" in parts["disk"].advice) == ("error", True)


def test_little_room(settings, monkeypatch):
    monkeypatch.setattr(diagnosis, "LITTLE_DISK_BYTES", 1 << 60)
    monkeypatch.setattr(diagnosis, "LITTLE_MEMORY_BYTES", 1 << 60)
    parts = found(settings)
    assert (parts["disk"].verdict, parts["memory"].verdict) == ("warning", "warning")
    monkeypatch.setattr(diagnosis, "NO_DISK_BYTES", 1 << 60)
    assert found(settings)["disk"].verdict == "error"


def test_a_hub_that_answers_and_one_that_does_not(settings, hub):
    parts = found(changed(settings, hub_mode="named", hub_endpoint=hub))
    assert (parts["hub"].verdict, parts["clock"].verdict) == ("ok", "warning")
    assert re.match(r"360[0-5] s ahead of", parts["clock"].found)
    away = found(changed(settings, hub_mode="named", hub_endpoint="http://127.0.0.1:9"))["hub"]
    assert (away.verdict, "FRONTRUNNER_HUB_MODE=offline" in away.advice) == ("warning", True)


@pytest.mark.parametrize(("skew", "verdict"), [(0.4, "ok"), (-10.0, "ok"), (40.0, "warning"), (-40.0, "warning")])
def test_a_clock(skew, verdict):
    assert clock("clock", skew, "another").verdict == verdict


def test_the_worst_finding_is_the_verdict():
    of = {verdict: Finding(name="x", verdict=verdict, found="") for verdict in Verdict}
    assert Diagnosis.of([]).verdict == "ok"
    assert Diagnosis.of([of[Verdict.WARNING], of[Verdict.OK]]).verdict == "warning"
    assert Diagnosis.of([of[Verdict.ERROR], of[Verdict.WARNING]]).verdict == "error"


def run(*arguments, **environment):
    get_settings.cache_clear()
    return CliRunner().invoke(build_app(arguments), list(arguments), env=environment)


def test_the_command_prints_a_line_each_and_fails_where_something_is_wrong(tmp_path):
    here = {"FRONTRUNNER_HOME": str(tmp_path / "home"), "FRONTRUNNER_HUB_MODE": "offline", "FRONTRUNNER_HUB": ""}
    done = run("doctor", **here)
    assert (done.exit_code, "ok      disk: " in done.stdout) == (0, True)
    done = run("doctor", "--json", **here | {"FRONTRUNNER_HUB": str(tmp_path / "gone")})
    told = json.loads(done.stdout)
    assert (done.exit_code, told["verdict"]) == (1, "error")
    (wrong,) = [finding for finding in told["findings"] if finding["verdict"] == "error"]
    assert wrong == {
        "name": "hub folders", "verdict": "error", "found": f"{tmp_path / 'gone'}: not there",
        "advice": "mend FRONTRUNNER_HUB",
    }  # fmt: skip
    get_settings.cache_clear()


def test_a_service_that_is_away():
    done = run("doctor", "--json", "--server", "http://127.0.0.1:9")
    assert (done.exit_code, json.loads(done.stdout)["findings"][0]["verdict"]) == (1, "error")


def test_it_works_where_the_extras_are_missing():
    """Another process, in which they cannot be imported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'sqlalchemy', 'celery'): sys.modules[name] = None\n"
        "from frontrunner.diagnosis import diagnose\n"
        "from frontrunner.settings import Settings\n"
        "import tempfile, pathlib\n"
        "settings = Settings(home=pathlib.Path(tempfile.mkdtemp()), hub_mode='offline')\n"
        "print({finding.name: finding.verdict.value for finding in diagnose(settings)})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'service': 'ok'" in done.stdout
