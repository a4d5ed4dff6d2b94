"""Every secret of a service, looked for wherever a whole job leaves something: in none of it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from sqlalchemy import select

from benchmarks.service.servers import wait_until
from frontrunner.settings import Settings
from jobs.keys import Scope, create_key
from jobs.secret import service_secret
from models import Database, DeliveryRow
from tests.acceptance.service import serving
from tests.acceptance.test_remote_checkpoints import ID, away

__all__ = ["away"]

pytestmark = pytest.mark.acceptance

SEALING = "sealing-key-0123456789-0123456789-abcdef"
DIGESTING = "digesting-key-0123456789-0123456789-abcd"


@pytest.fixture
def receiver():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def environments(service) -> str:
    """What the runners were started with, as any process of this user can read it."""
    found = []
    for runner in service.processes("workers.runner"):
        with contextlib.suppress(psutil.Error):
            found.append(str(runner.environ()))
    return "".join(found)


def test_no_secret_is_in_rows_logs_answers_files_or_a_runners_environment(tmp_path, hub, colours, away, receiver):
    home = tmp_path / "home"
    settings = {
        "hub_endpoint": away.address, "hub_token": away.token, "encryption_keys": SEALING, "secret_key": DIGESTING,
        "webhook_allow_private": True, "log_level": "DEBUG",
    }  # fmt: skip
    answers, seen = [], []
    with serving(home, hub, **settings) as service:
        database = Database(f"sqlite:///{home / 'frontrunner.db'}")
        secret = service_secret(Settings(home=home, secret_key=DIGESTING))
        with database.write_transaction() as session:
            _, key = create_key(session, secret, name="t", scopes=tuple(Scope))
        service.http.headers["Authorization"] = f"Bearer {key}"
        hook = service.http.post("/v1/webhooks", json={"url": receiver}).raise_for_status().json()
        service.http.event_hooks["response"].append(lambda answer: answers.append((answer.read(), answer.headers)))
        job = service.recommend(colours, checkpoints=[ID, "local:resnet"])
        over = ("succeeded", "failed", "lost")
        wait_until(lambda: seen.append(environments(service)) or service.job(job)["status"] in over, 400, "its end")
        assert service.job(job)["status"] == "succeeded"

        def is_told() -> bool:
            with database.read_transaction() as session:
                return session.scalars(select(DeliveryRow.status)).all() == ["delivered"]

        wait_until(is_told, 120, "the webhook's message")
        for path in (
            f"rankings/{job}",
            f"webhooks/{hook['id']}",
            f"webhooks/{hook['id']}/deliveries",
            "audit",
            "quota",
        ):
            service.http.get(f"/v1/{path}").raise_for_status()
        service.http.get(f"/v1/jobs/{job}/events").raise_for_status()
        service.http.get("/metrics").raise_for_status()
        database.close()
    with sqlite3.connect(home / "frontrunner.db") as connection:
        dump = "\n".join(connection.iterdump())
    files = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    left = {
        "rows": dump.encode(),
        "files": files,
        "log": service.log.read_bytes(),
        "answers": b"".join(body + str(headers).encode() for body, headers in answers),
        "environment": "".join(seen).encode(),
    }
    assert b"FRONTRUNNER_HOME" in left["environment"]
    assert hook["id"].encode() in left["rows"]
    assert job.encode() in left["log"]
    secrets = {
        "of the webhook": hook["secret"].removeprefix("whsec_"),
        "of the hub": away.token,
        "that seals": SEALING,
        "that digests": DIGESTING,
        "key": key.rpartition("_")[2],
    }
    found = [(name, where) for name, value in secrets.items() for where, text in left.items() if value.encode() in text]
    assert found == []
