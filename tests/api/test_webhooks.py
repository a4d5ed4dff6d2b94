"""Webhooks over HTTP; what is sent to them is tested with the workers' delivery."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from models import DeliveryRow
from tests.api.asking import claim, finish, is_problem, upload_features
from tests.api.conftest import HERE


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"webhook_allow_private": True})


def create(client, url="http://127.0.0.1:9/hook"):
    return client.post("/v1/webhooks", json={"url": url})


def test_a_secret_is_shown_once(client):
    answer = create(client)
    assert answer.status_code == 201
    assert answer.json()["secret"].startswith("whsec_")
    read = client.get(answer.headers["location"]).json()
    assert read == {name: value for name, value in answer.json().items() if name != "secret"}
    assert client.get("/v1/webhooks").json() == {"items": [read], "next": None}


def test_private_addresses_are_refused_unless_they_are_allowed(settings, client):
    with TestClient(create_app(settings.model_copy(update={"webhook_allow_private": False})), base_url=HERE) as strict:
        is_problem(create(strict), 422, "webhook_target_forbidden")
    is_problem(create(client, "gopher://8.8.8.8"), 422, "webhook_target_forbidden")
    assert client.get("/v1/webhooks").json()["items"] == []


def test_the_log_tells_what_is_to_be_sent_and_a_message_can_be_sent_again(client, database, tmp_path):
    hook = create(client).json()["id"]
    job = client.post("/v1/rankings", json={"dataset": upload_features(client, tmp_path)}).json()["id"]
    finish(database, claim(database))
    (entry,) = client.get(f"/v1/webhooks/{hook}/deliveries").json()["items"]
    assert (entry["status"], entry["attempts"], entry["event"]["subject"]) == ("pending", 0, job)
    with database.write_transaction() as session:
        row = session.get(DeliveryRow, entry["id"])
        row.status, row.attempt = "failed", 10
    assert client.get(f"/v1/webhooks/{hook}/deliveries", params={"status": "pending"}).json()["items"] == []
    again = client.post(f"/v1/webhooks/{hook}/deliveries/{entry['id']}/redeliver")
    assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (202, "pending", 0)
    is_problem(client.post(f"/v1/webhooks/{hook}/deliveries/msg_nope/redeliver"), 404, "not_found")


def test_a_disabled_address_is_left_no_message(client, database, tmp_path):
    hook = create(client).json()["id"]
    assert not client.post(f"/v1/webhooks/{hook}/disable").json()["enabled"]
    client.post("/v1/rankings", json={"dataset": upload_features(client, tmp_path)})
    finish(database, claim(database))
    assert client.get(f"/v1/webhooks/{hook}/deliveries").json()["items"] == []
    assert client.post(f"/v1/webhooks/{hook}/enable").json()["enabled"]


def test_an_address_is_forgotten_with_its_log(client):
    hook = create(client).json()["id"]
    assert client.delete(f"/v1/webhooks/{hook}").status_code == 204
    for path in (f"/v1/webhooks/{hook}", f"/v1/webhooks/{hook}/deliveries"):
        is_problem(client.get(path), 404, "not_found")


def test_addresses_are_listed_by_pages(client):
    made = [create(client).json()["id"] for _ in range(3)]
    first = client.get("/v1/webhooks?limit=2").json()
    assert ([item["id"] for item in first["items"]], first["next"]) == (made[:2], made[1])
    rest = client.get(f"/v1/webhooks?limit=2&cursor={first['next']}").json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (made[2:], None)
