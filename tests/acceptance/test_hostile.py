"""Hostile clients against a real service: refused or served, and nobody else is harmed.

How long they take, and what others' polls take meanwhile, is printed by `python -m benchmarks.service.hostile`.
"""

from __future__ import annotations

import http.server
import threading
from datetime import UTC, datetime

import pytest

from benchmarks.service import hostile
from benchmarks.service.setting import embedded
from jobs.webhooks import sending

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def attacked():
    """A service, the attacker's key, and another tenant's job and key."""
    with embedded() as service:
        service.start_api()
        yield service, *hostile.prepare(service)


def come_to(attacked, attack, *arguments):
    """What an attack comes to, while another tenant polls; each poll must be answered."""
    service, attacker, job, key = attacked
    with hostile.polling(service, job, key) as latencies:
        answers = attack(service, attacker, *arguments)
    assert latencies
    assert service.get("/livez").status_code == 200
    assert not list((service.home / "blobs").rglob("*.part*"))
    return answers


def test_ten_terabytes_are_refused_before_they_come(attacked):
    assert come_to(attacked, hostile.claim_ten_terabytes) == {"413": 1}


def test_a_zip_of_many_empty_files_is_refused(attacked):
    """A million of them are in the benchmark."""
    (answer,) = come_to(attacked, hostile.send_many_empty_files, 50_000)
    assert answer in ("422 dataset_empty", "422 dataset_unreadable", "413 dataset_too_large")


def test_of_many_uploads_at_once_some_are_served_and_the_others_told_when_to_come_again(attacked):
    answers = come_to(attacked, hostile.send_many_uploads, 60)
    assert set(answers) == {"201", "503 checks_busy"}
    assert answers["201"] >= 2


@pytest.fixture
def listening():
    """Servers on two addresses of this machine and one port, and which of them was asked for what."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.server.server_address[0], self.path))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.2:{self.server.server_address[1]}/inside")
            self.end_headers()

        def log_message(self, *_arguments):
            """Nothing."""

    first = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    second = http.server.HTTPServer(("127.0.0.2", first.server_address[1]), Handler)
    for server in (first, second):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield first.server_address[1], asked
    for server in (first, second):
        server.shutdown()
        server.server_close()


def test_a_resolver_that_flips_and_a_redirect_lead_nowhere_else(listening, monkeypatch):
    """A name resolves to one address when it is looked at, and to another whenever it is asked for again."""
    port, asked = listening
    answers = iter(["127.0.0.1"])
    resolve = sending.socket.getaddrinfo

    def flipping(host, *arguments, **options):
        return resolve(next(answers, "127.0.0.2") if host == "flip.example" else host, *arguments, **options)

    monkeypatch.setattr(sending.socket, "getaddrinfo", flipping)
    target = sending.resolve_target(f"http://flip.example:{port}/hook", allow_private=True)
    secret = "whsec_" + "a" * 32
    status = sending.send_signed(target, "{}", secret=secret, message_id="m", at=datetime.now(UTC))
    assert status == 302
    assert asked == [("127.0.0.1", "/hook")]
    with pytest.raises(sending.ForbiddenTarget):
        sending.resolve_target(f"http://flip.example:{port}/hook", allow_private=False)
