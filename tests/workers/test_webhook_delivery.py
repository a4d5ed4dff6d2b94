"""Webhooks, sent to a real server on this machine."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from standardwebhooks import Webhook

from jobs import lifecycle
from jobs.sealing import Seal
from jobs.webhooks.sending import ForbiddenTarget, resolve_target
from models import DeliveryRow, WebhookRow
from tests.jobs.rows import apply, claim, output, submit
from workers.webhook_delivery import WebhookDelivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """An address that notes what it is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], str]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.received.append((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def patient(settings):
    return settings.model_copy(
        update={"webhook_allow_private": True, "webhook_retry_s": 10.0, "webhook_max_attempts": 3}
    )


def listen(database, url, settings):
    with database.write_transaction() as session:
        session.add(
            WebhookRow(
                id="hook_1", tenant="default", url=url, secret=Seal.of(settings).close(SECRET), enabled=True, failures=0
            )
        )


def finish_a_job(database, seed=0):
    job = submit(database, names=("a",), seed=seed)
    apply(database, lifecycle.succeed_step, claim(database), output(0.5))
    return job


def deliveries(database):
    with database.read_transaction() as session:
        return session.query(DeliveryRow).order_by(DeliveryRow.id).all()


def make_due(database):
    with database.write_transaction() as session:
        session.execute(update(DeliveryRow).values(next_at=0.0))


def test_a_finished_job_is_told_in_a_signed_cloudevent(database, patient, receiver):
    listen(database, receiver.url, patient)
    job = finish_a_job(database)
    assert WebhookDelivery(database, patient, "w").run_once() == 1
    ((headers, body),) = receiver.received
    event = Webhook(SECRET).verify(body, headers)
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["Host"] == receiver.url.split("/")[2]
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "frontrunner.job.succeeded", job)
    assert event["id"] == headers["webhook-id"]
    assert event["data"] == {
        "job": job,
        "kind": "ranking",
        "status": "succeeded",
        "result": f"/v1/rankings/{job}",
        "failure": None,
    }
    (sent,) = deliveries(database)
    assert (sent.status, sent.attempt, sent.last_answer) == ("delivered", 1, "HTTP 204")
    assert WebhookDelivery(database, patient, "w").run_once() == 0


def test_a_message_exists_exactly_if_its_job_is_over(database, patient, receiver):
    listen(database, receiver.url, patient)
    submit(database, names=("a",))
    held = claim(database)

    def finish_and_fall() -> None:
        with database.write_transaction() as session:
            lifecycle.succeed_step(session, held, output(0.5))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        finish_and_fall()
    assert deliveries(database) == []
    assert apply(database, lifecycle.succeed_step, held, output(0.5))
    assert len(deliveries(database)) == 1


def test_a_message_that_is_not_taken_is_sent_again_ever_later_and_then_given_up(database, patient, receiver):
    listen(database, receiver.url, patient)
    finish_a_job(database)
    receiver.answers = [500, 302, 503]
    delivery = WebhookDelivery(database, patient, "w")
    for pause_s in (10.0, 30.0, 90.0):
        earliest = database.now() + pause_s
        assert delivery.run_once() == 1
        (sent,) = deliveries(database)
        assert earliest - 0.01 <= sent.next_at <= database.now() + pause_s + 0.01
        assert delivery.run_once() == 0
        make_due(database)
    assert (sent.status, sent.attempt, sent.last_answer) == ("failed", 3, "HTTP 503")
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert delivery.run_once() == 0


def test_an_address_that_fails_too_often_is_disabled_and_keeps_its_messages(database, patient, receiver):
    receiver.server.server_close()
    listen(database, receiver.url, patient)
    finish_a_job(database)
    delivery = WebhookDelivery(database, patient.model_copy(update={"webhook_disable_after": 2}), "w")
    for _ in range(2):
        assert delivery.run_once() == 1
        make_due(database)
    with database.read_transaction() as session:
        assert (session.get(WebhookRow, "hook_1").enabled, session.get(WebhookRow, "hook_1").failures) == (False, 2)
    assert delivery.run_once() == 0
    (sent,) = deliveries(database)
    assert (sent.status, "ConnectError" in sent.last_answer) == ("pending", True)


def test_a_success_forgives_the_failures_before_it(database, patient, receiver):
    listen(database, receiver.url, patient)
    finish_a_job(database)
    receiver.answers = [500, 200]
    delivery = WebhookDelivery(database, patient, "w")
    delivery.run_once()
    make_due(database)
    delivery.run_once()
    with database.read_transaction() as session:
        assert session.get(WebhookRow, "hook_1").failures == 0


def test_one_worker_at_a_time_delivers(database, patient, receiver):
    listen(database, receiver.url, patient)
    first, second = (WebhookDelivery(database, patient, name) for name in ("worker-1", "worker-2"))
    first.run_once()
    finish_a_job(database)
    assert second.run_once() == 0
    assert first.run_once() == 1


def test_a_private_address_is_sent_nothing_even_if_it_was_accepted_before(database, settings, receiver):
    listen(database, receiver.url, settings)
    finish_a_job(database)
    WebhookDelivery(database, settings, "w").run_once()
    (sent,) = deliveries(database)
    assert (receiver.received, "private" in sent.last_answer) == ([], True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:8000/", "http://10.1.2.3/", "http://192.168.0.1/", "http://172.16.9.9/",
        "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
        "http://[fd00::1]/", "http://224.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[2002:7f00:1::]/",
        "http://100.64.0.1/", "ftp://8.8.8.8/", "http://user:pass@8.8.8.8/", "http:///path", "https://nowhere.invalid/",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(url):
    with pytest.raises(ForbiddenTarget):
        resolve_target(url, allow_private=False)


def test_a_public_address_is_connected_to_by_the_address_that_was_checked():
    target = resolve_target("https://8.8.8.8:8443/hook?x=1", allow_private=False)
    assert (target.address, str(target.url)) == ("8.8.8.8", "https://8.8.8.8:8443/hook?x=1")


def test_an_event_is_json_that_names_its_data(database, patient, receiver):
    listen(database, receiver.url, patient)
    job = submit(database, names=("a",))
    apply(database, lifecycle.cancel_job, job)
    (sent,) = deliveries(database)
    event = json.loads(json.dumps(sent.event))
    assert {"specversion", "id", "source", "type"} <= event.keys()
    assert (event["type"], event["datacontenttype"]) == ("frontrunner.job.cancelled", "application/json")


def test_a_secret_that_was_sealed_elsewhere_leaves_its_message_and_says_why(database, patient, receiver):
    elsewhere = patient.model_copy(update={"encryption_keys": SecretStr("another key with at least 32 characters")})
    listen(database, receiver.url, elsewhere)
    finish_a_job(database)
    assert WebhookDelivery(database, patient, "w").run_once() == 1
    assert receiver.received == []
    with database.read_transaction() as session:
        (row,) = session.scalars(select(DeliveryRow))
    assert (row.status, row.attempt) == ("pending", 1)
    assert "ENCRYPTION_KEYS" in row.last_answer
    assert WebhookDelivery(database, elsewhere, "w").run_once() == 0  # in ten seconds
