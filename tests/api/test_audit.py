"""Every change is in the audit log, generated from the API's own document: a new endpoint is tried as well."""

from __future__ import annotations

import functools
import json

import pytest
from sqlalchemy import select
from typer import Typer
from typer.testing import CliRunner

from frontrunner.settings import get_settings
from jobs.commands.audit import audit as audit_command
from jobs.keys import Scope
from models import AuditRow
from tests.api.asking import claim, finish, is_problem
from tests.api.test_access import features, hub, new_key, operations, world
from tests.api.test_access import settings as private_settings

__all__ = ["hub"]

settings = private_settings


def entries(database, **like):
    with database.read_transaction() as session:
        return session.scalars(select(AuditRow).filter_by(**like).order_by(AuditRow.id)).all()


def changes(client):
    return {name for name, method, _, _ in operations(client) if method not in ("GET", "HEAD")}


# What these need is not made here; they go through the same `submission.accept` as a ranking.
ELSEWHERE = {"createTuning", "createTaskDistances", "extendRanking"}
# A part changes nothing but how far an upload has come: thousands of them would be thousands of entries.
PARTS = {"addPart"}


def test_every_change_is_noted_with_who_did_it_and_to_what(client, database, settings, tmp_path):
    key_id, anna = new_key(database, settings, "anna")
    data = features(tmp_path)
    ids = world(client, database, anna, data)
    ask = functools.partial(client.request, headers=anna | {"x-request-id": "mine"})
    hook, waiting = ids["webhook_id"], ids["job_id"]
    done = [
        ("enableWebhook", hook, ask("POST", f"/v1/webhooks/{hook}/enable")),
        (
            "redeliver",
            ids["delivery_id"],
            ask("POST", f"/v1/webhooks/{hook}/deliveries/{ids['delivery_id']}/redeliver"),
        ),
        ("disableWebhook", hook, ask("POST", f"/v1/webhooks/{hook}/disable")),
        ("deleteWebhook", hook, ask("DELETE", f"/v1/webhooks/{hook}")),
        ("cancelJob", waiting, ask("POST", f"/v1/jobs/{waiting}/cancel")),
        ("retryJob", waiting, ask("POST", f"/v1/jobs/{waiting}/retry")),
    ]
    finish(database, claim(database))
    done += [
        ("deleteJob", waiting, ask("DELETE", f"/v1/jobs/{waiting}")),
        ("deleteDataset", ids["dataset_id"], ask("DELETE", f"/v1/datasets/{ids['dataset_id']}")),
    ]
    recommended = ask("POST", "/v1/recommendations", files={"file": ("f.npz", data)})
    done.append(("createRecommendation", recommended.json()["id"], recommended))
    for name, resource, answer in done:
        assert answer.status_code < 300, (name, answer.text)
        (entry,) = (row for row in entries(database, action=name) if row.resource == resource)
        assert (entry.tenant, entry.actor, entry.outcome) == ("anna", f"key:{key_id}", "done")
        assert (entry.request_id, entry.address) == ("mine", "testclient")
    upload, content = ids["upload_id"], features(tmp_path, seed=1)
    sent = client.patch(f"/v1/uploads/{upload}", content=content, headers=anna | {"upload-offset": "0"})
    assert (sent.status_code, ask("POST", f"/v1/uploads/{upload}/dataset", json={}).status_code) == (204, 201)
    assert ask("DELETE", f"/v1/uploads/{upload}").status_code == 204
    noted = {entry.action for entry in entries(database)}
    assert noted == changes(client) - ELSEWHERE - PARTS


def test_what_fails_and_what_changes_nothing_is_not_noted(client, database, tmp_path):
    for path in ("/v1/jobs/x/cancel", "/v1/jobs/x/retry"):
        assert client.post(path).status_code == 404
    assert client.post("/v1/datasets?name=x.npz", content=b"nothing").status_code in (415, 422)
    post = functools.partial(client.post, "/v1/datasets?name=f.npz", content=features(tmp_path))
    assert [post().status_code for _ in range(2)] == [201, 200]
    client.get("/v1/jobs")
    assert [(entry.action, entry.actor) for entry in entries(database)] == [("createDataset", "anybody")]


def test_who_tries_what_its_key_does_not_allow_is_noted(client, database, settings):
    key_id, headers = new_key(database, settings, "anna", Scope.READ)
    is_problem(client.delete("/v1/jobs/x", headers=headers), 403, "scope_missing")
    (entry,) = entries(database)
    assert (entry.action, entry.actor, entry.outcome) == ("deleteJob", f"key:{key_id}", "scope_missing")


def test_administrators_read_their_own_tenants_log(client, database, settings, tmp_path):
    _, anna = new_key(database, settings, "anna")
    _, bert = new_key(database, settings, "bert")
    world(client, database, anna, features(tmp_path))
    assert client.get("/v1/audit", headers=bert).json() == {"items": [], "next": None}
    first = client.get("/v1/audit?limit=3", headers=anna).json()
    rest = client.get(f"/v1/audit?cursor={first['next']}", headers=anna).json()["items"]
    found = [item["action"] for item in first["items"] + rest]
    assert sorted(found) == ["createDataset", "createRanking", "createRanking", "createUpload", "createWebhook"]
    (hook,) = client.get("/v1/audit?action=createWebhook", headers=anna).json()["items"]
    assert hook["resource"].startswith("hook_")
    assert hook["at"].endswith("Z") or "+00:00" in hook["at"]
    assert client.get("/v1/audit?actor=key:none", headers=anna).json()["items"] == []


@pytest.fixture
def command(settings, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(settings.home))
    get_settings.cache_clear()
    app = Typer()
    app.command()(audit_command)
    yield functools.partial(CliRunner().invoke, app)
    get_settings.cache_clear()


def test_the_command_shows_all_tenants(client, database, settings, tmp_path, command):
    for name in ("anna", "bert"):
        _, headers = new_key(database, settings, name)
        client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=headers)
    shown = json.loads(command(["--json"]).output)
    assert [line["tenant"] for line in shown["acts"]] == ["bert", "anna"]
    assert shown["more"] is False
    (line,) = json.loads(command(["--tenant", "anna", "--json"]).output)["acts"]
    assert line["action"] == "createDataset"
    assert "the first 1" in command(["--limit", "1"]).output
