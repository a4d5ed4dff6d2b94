"""What the clients do when a service is busy, breaks off or refuses: against a server on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from standardwebhooks import Webhook

from frontrunner import errors
from frontrunner.client import (
    AsyncClient,
    Client,
    JobEvent,
    ServiceProblem,
    WebhookForged,
    operations,
    verify_webhook,
)
from frontrunner.client.connection import Patience
from frontrunner.client.watching import Watching
from frontrunner.progress import Silent, Stage

JOB = {"id": "job_1", "status": "queued", "progress": {"steps_done": 0, "steps_total": 1}}
PROBLEM = {"code": "dataset_unlabelled", "detail": "no labels", "status": 422}
BREAK_OFF = object()


class Service:
    """Answers as it was told to, one after the other, and keeps what it was asked."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.asked = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                service.asked.append((self.command, self.path, dict(self.headers), body))
                answer = service.answers.pop(0)
                if answer is BREAK_OFF:
                    self.close_connection = True
                    return
                status, headers, content = answer
                data = b"" if status == 204 else json.dumps(content).encode()
                self.send_response(status)
                kind = "application/problem+json" if status >= 400 else "application/json"
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = respond  # noqa: N815 - the names that the base class calls

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service():
    made = []

    def make(*answers):
        made.append(Service(answers))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


class Heard(Silent):
    """What a listener was told."""

    def __init__(self):
        self.advances = []

    def advance(self, stage, done, total, *, of=""):
        self.advances.append((stage, done, total, of))


def test_whoever_watches_hears_how_much_has_gone(service, tmp_path, monkeypatch):
    """Four parts, the third of which is sent twice; the bytes that are told are the file's."""
    monkeypatch.setattr(operations, "PART_BYTES", 300_000)
    size = 1_000_000
    (tmp_path / "a.npz").write_bytes(bytes(size))
    begun = (201, {}, {"id": "up_1", "offset": 0, "part_bytes": 300_000})
    come = [(204, {"Upload-Offset": str(offset)}, {}) for offset in (300_000, 600_000, 900_000, size)]
    asked = service(begun, *come[:2], (503, {"Retry-After": "0"}, {}), *come[2:], (201, {}, {"id": "ds_1"}))
    heard = Heard()
    with Client(asked.url) as client:
        assert client.upload(tmp_path / "a.npz", progress=heard) == "ds_1"
    assert heard.advances.pop() == (Stage.CHECK, 0, 1, "a.npz"), "the service is at work on it"
    assert {(stage, total, of) for stage, _, total, of in heard.advances} == {(Stage.SEND, size, "a.npz")}
    done = [entry[1] for entry in heard.advances]
    again = done.index(900_000) + 1
    assert done[0] == 0
    assert done[:again] == sorted(done[:again])
    assert done[again:] == sorted(done[again:])
    assert (600_000 < done[again] < 900_000, done[-1]) == (True, size)
    assert [len(body) for method, _, _, body in asked.asked if method == "PATCH"] == [300_000] * 4 + [100_000]


def test_the_asynchronous_client_tells_so_too(service, tmp_path, monkeypatch):
    monkeypatch.setattr(operations, "PART_BYTES", 300_000)
    (tmp_path / "a.npz").write_bytes(bytes(300_001))
    begun = (201, {}, {"id": "up_1", "offset": 0, "part_bytes": 300_000})
    come = [(204, {"Upload-Offset": str(offset)}, {}) for offset in (300_000, 300_001)]
    asked, heard = service(begun, *come, (201, {}, {"id": "ds_1"})), Heard()

    async def ask():
        async with AsyncClient(asked.url) as client:
            return await client.upload(tmp_path / "a.npz", progress=heard)

    assert asyncio.run(ask()) == "ds_1"
    assert heard.advances[-2:] == [(Stage.SEND, 300_001, 300_001, "a.npz"), (Stage.CHECK, 0, 1, "a.npz")]
    assert [body for method, _, _, body in asked.asked if method == "PATCH"] == [bytes(300_000), bytes(1)]


def test_of_small_data_nothing_is_told(service, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n")
    asked, heard = service((201, {}, {"id": "ds_1"})), Heard()
    with Client(asked.url) as client:
        client.upload(tmp_path / "a.csv", progress=heard)
    assert heard.advances == []


def step_over(number):
    return JobEvent(number, "step.succeeded", {})


def test_a_job_is_looked_at_where_it_has_changed_and_once_a_second_at_most(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("frontrunner.client.watching.time.monotonic", lambda: now[0])
    watching = Watching(Heard(), timeout_s=60)
    watching.look({"last_event": 7})
    now[0] += 5
    replayed = [watching.hear(step_over(number)) for number in range(1, 8)]
    assert replayed == [False] * 7, "the job as seen tells of them"
    assert watching.hear(step_over(8))
    watching.look({"last_event": 8})
    now[0] += 0.4
    assert not watching.hear(step_over(9)), "a moment after the last look"
    now[0] += 0.7
    assert watching.hear(JobEvent(10, "step.started", {})), "what changed before is not forgotten"
    watching.look({"last_event": 10})
    now[0] += 5
    assert not watching.hear(JobEvent(11, "step.started", {}))


def test_what_makes_something_is_sent_again_with_the_same_key(service, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n")
    busy = (503, {"Retry-After": "0"}, {"code": "checks_busy", "detail": "later"})
    asked = service(busy, BREAK_OFF, (202, {}, JOB))
    with Client(asked.url, key="secret") as client:
        job = client.recommend(tmp_path / "a.csv", max_examples=50)
    assert job.id == "job_1"
    assert [path for _, path, _, _ in asked.asked] == ["/v1/recommendations"] * 3
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in asked.asked}
    assert len(keys) == 1
    assert all(headers["Authorization"] == "Bearer secret" for _, _, headers, _ in asked.asked)
    assert all(b"text,label" in body and b'"max_examples": 50' in body for _, _, _, body in asked.asked)


def test_the_asynchronous_client_does_so_too(service, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n")
    asked = service(BREAK_OFF, (202, {}, JOB))

    async def ask():
        async with AsyncClient(asked.url) as client:
            return (await client.recommend(tmp_path / "a.csv")).id

    assert asyncio.run(ask()) == "job_1"
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in asked.asked}) == 1


def test_a_refusal_is_an_error_of_the_library_and_of_the_service(service):
    asked = service((422, {}, PROBLEM), (422, {}, PROBLEM))
    with Client(asked.url) as client:
        with pytest.raises(errors.UnlabelledDataset, match="no labels"):
            client.rank("ds_1")
        with pytest.raises(ServiceProblem) as refused:
            client.rank("ds_1")
    assert (refused.value.code, refused.value.status, refused.value.problem) == ("dataset_unlabelled", 422, PROBLEM)


def test_a_code_that_the_library_does_not_know(service):
    asked = service((404, {}, {"code": "of_a_later_release", "detail": "gone"}))
    with Client(asked.url) as client, pytest.raises(ServiceProblem) as refused:
        client.job("job_1")
    assert (type(refused.value), refused.value.code) == (ServiceProblem, "of_a_later_release")


def test_every_page_is_read(service):
    asked = service(
        (200, {}, {"items": [{"id": "a"}], "next": "more"}), (200, {}, {"items": [{"id": "b"}], "next": None})
    )
    with Client(asked.url) as client:
        assert [item["id"] for item in client.checkpoints(search="net")] == ["a", "b"]
    assert [path for _, path, _, _ in asked.asked] == [
        "/v1/checkpoints?search=net",
        "/v1/checkpoints?search=net&cursor=more",
    ]


def test_a_job_that_takes_too_long(service):
    asked = service(*[(200, {"ETag": '"1"'}, JOB)] * 50)
    with Client(asked.url) as client, pytest.raises(TimeoutError, match="job_1 is still queued after 0 s"):
        client.wait("job_1", timeout_s=0)


def test_patience_ends():
    patience, waited = Patience(longest_s=10), []
    while (pause := patience.pause_after(httpx.ConnectError("no"))) is not None:
        waited.append(pause)
    assert waited == [0.5, 1.0, 2.0, 4.0]
    assert Patience(longest_s=10).pause_after(httpx.Response(429, headers={"Retry-After": "7"})) == 7.0
    assert Patience(longest_s=10).pause_after(httpx.Response(429, headers={"Retry-After": "70"})) is None
    assert Patience().pause_after(httpx.Response(422)) is None
    assert Patience().pause_after(httpx.Response(429)) is None, "a quota that waiting does not lift"


def test_both_clients_offer_the_same():
    def offered(kind):
        return {
            name: re.sub(r" at 0x\w+|Async", "", str(inspect.signature(member)))
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert offered(Client) == offered(AsyncClient)


SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(body, at):
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(at.timestamp()))}
    return headers | {"Webhook-Signature": Webhook(SECRET).sign("msg_1", at, body)}


def test_a_message_that_was_signed_is_believed():
    body = json.dumps({"type": "job.succeeded"})
    assert verify_webhook(SECRET, signed(body, datetime.now(tz=UTC)), body) == {"type": "job.succeeded"}


@pytest.mark.parametrize("forged", ["changed", "old", "unsigned"])
def test_one_that_was_not_is_refused(forged):
    body, now = json.dumps({"type": "job.succeeded"}), datetime.now(tz=UTC)
    headers = signed(body, now - timedelta(hours=1) if forged == "old" else now)
    if forged == "unsigned":
        del headers["Webhook-Signature"]
    with pytest.raises(WebhookForged):
        verify_webhook(SECRET, headers, body + (" " if forged == "changed" else ""))
