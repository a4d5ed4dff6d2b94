"""Keys, scopes and tenants over HTTP, generated from the API's own document: a new endpoint is tried as well."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from api import access
from api.serve import serve_api
from frontrunner.settings import get_settings
from frontrunner.store import open_store, uploads
from jobs.commands.keys import keys as keys_command
from jobs.keys import Scope, create_key, revoke_key
from jobs.secret import service_secret
from models import DatasetRow, DeliveryRow, JobRow
from tests.api.asking import claim, finish, is_problem

# What anybody may ask, and what is the same for all tenants.
PUBLIC = {"getLiveness", "getReadiness"}
# What `world` has none of: its jobs are rankings.
OTHER_KINDS = {"getTuning", "getTaskDistances"}
SHARED = {"getCheckpoint", "listCheckpoints", "listScores", "getMetrics"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"webhook_allow_private": True})


def new_key(database, settings, tenant, *scopes):
    with database.write_transaction() as session:
        row, key = create_key(
            session, service_secret(settings), name="test", tenant=tenant, scopes=scopes or tuple(Scope)
        )
        return row.id, {"authorization": f"Bearer {key}"}


def features(tmp_path, seed=0):
    path = tmp_path / "features.npz"
    generator = np.random.default_rng(seed)
    np.savez(path, mine=generator.normal(size=(60, 8)), labels=np.repeat([0, 1, 2], 20))
    return path.read_bytes()


def operations(client):
    """(name, method, path, scopes) of every operation."""
    found = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            (security,) = operation.get("security") or [{}]
            found.append((operation["operationId"], method.upper(), path, security.get("key", [])))
    return found


def world(client, database, headers, data):
    """What one tenant has: by the names of parameters of paths."""
    hook = client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"}, headers=headers).json()["id"]
    dataset = client.post("/v1/datasets?name=f.npz", content=data, headers=headers).json()["id"]
    first = client.post("/v1/rankings", json={"dataset": dataset}, headers=headers).json()["id"]
    finish(database, claim(database))
    waiting = client.post("/v1/rankings", json={"dataset": dataset, "seed": 1}, headers=headers).json()["id"]
    (delivery,) = client.get(f"/v1/webhooks/{hook}/deliveries", headers=headers).json()["items"]
    upload = client.post("/v1/uploads", json={"name": "f.npz"}, headers=headers).json()["id"]
    return {
        "dataset_id": dataset,
        "upload_id": upload,
        "ranking_id": first,
        "tuning_id": waiting,
        "job_id": waiting,
        "webhook_id": hook,
        "delivery_id": delivery["id"],
        "name": "README.md",
    }


@pytest.fixture
def anna(client, database, settings):
    return new_key(database, settings, "anna")[1]


@pytest.fixture
def bert(client, database, settings):
    return new_key(database, settings, "bert")[1]


def test_every_endpoint_answers_404_to_another_tenants_ids(client, database, anna, bert, tmp_path):
    ids = world(client, database, anna, features(tmp_path))
    tried = 0
    for name, method, path, _ in operations(client):
        if "{" not in path or name in SHARED:
            continue
        body = {"json": {}} if method == "POST" else {}
        answer = client.request(method, path.format(**ids), headers=bert | {"upload-offset": "0"}, **body)
        assert answer.status_code == 404, (name, answer.text)
        assert "anna" not in answer.text
        tried += 1
    assert tried >= 15
    for path, body in (
        ("/v1/rankings", {"dataset": ids["dataset_id"]}),
        ("/v1/tunings", {"dataset": ids["dataset_id"], "teachers": ["x"]}),
        ("/v1/task-distances", {"datasets": [ids["dataset_id"]] * 2, "checkpoint": "x"}),
    ):
        is_problem(client.post(path, json=body, headers=bert), 404, "dataset_not_found")
    for name, method, path, _ in operations(client):
        if "{" in path and method == "GET" and name not in SHARED | OTHER_KINDS | {"getTuningFile", "watchJob"}:
            # Found, although there may be nothing to say of it yet (an outlook without past results).
            assert client.get(path.format(**ids), headers=anna).status_code in (200, 422), name
        if name in OTHER_KINDS:
            assert (
                "another kind" in is_problem(client.get(path.format(**ids), headers=anna), 404, "not_found")["detail"]
            )


def test_lists_are_ones_own(client, database, anna, bert, tmp_path):
    world(client, database, anna, features(tmp_path))
    lists = [path for _, method, path, _ in operations(client) if method == "GET" and "{" not in path]
    for path in ("/v1/datasets", "/v1/jobs", "/v1/webhooks"):
        assert path in lists
        assert client.get(path, headers=bert).json()["items"] == []
        assert len(client.get(path, headers=anna).json()["items"]) >= 1


def test_every_endpoint_wants_a_key_and_each_of_its_scopes(client, database, settings):
    new_key(database, settings, "anna")
    for name, method, path, scopes in operations(client):
        ask = functools.partial(client.request, method, re.sub(r"{[^}]+}", "x", path))
        if name in PUBLIC:
            assert ask().status_code in (200, 503)
            continue
        assert scopes, f"{name} names no scope"
        is_problem(ask(), 401, "key_missing")
        assert ask().headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer x", "Bearer frk_0123456789abcdef_" + "a" * 49, "Bearer ", "Basic YTpi"):
            assert ask(headers={"authorization": wrong}).status_code == 401
        for missing in scopes:
            _, headers = new_key(database, settings, "anna", *(set(Scope) - {missing}))
            assert missing in is_problem(ask(headers=headers), 403, "scope_missing")["detail"]


def test_the_same_data_of_two_tenants_is_two_datasets_and_one_blob(client, database, settings, anna, bert, tmp_path):
    answers = [
        client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=who) for who in (anna, bert, anna)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    first, second = answers[0].json(), answers[1].json()
    assert first["id"] != second["id"]
    assert first["report"]["digest"] != second["report"]["digest"]
    with database.read_transaction() as session:
        (blob,) = set(session.scalars(select(DatasetRow.blob)))
    assert client.delete(f"/v1/datasets/{first['id']}", headers=anna).status_code == 204
    assert uploads(open_store(settings)).path(blob).read_bytes() == features(tmp_path)  # the other's are still there
    assert client.post("/v1/rankings", json={"dataset": second["id"]}, headers=bert).status_code == 202
    held = claim(database)
    assert held.tenant == "bert"
    assert '"owner":"bert"' in held.payload


def test_an_idempotency_key_is_each_tenants_own(client, anna, bert, tmp_path):
    jobs = []
    for who in (anna, bert):
        dataset = client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=who).json()["id"]
        answer = client.post("/v1/rankings", json={"dataset": dataset}, headers=who | {"idempotency-key": "one"})
        assert answer.status_code == 202
        jobs.append(answer.json()["id"])
    assert len(set(jobs)) == 2


def test_what_a_job_leaves_behind_is_its_tenants(client, database, anna, tmp_path):
    ids = world(client, database, anna, features(tmp_path))
    with database.read_transaction() as session:
        assert set(session.scalars(select(JobRow.tenant))) == {"anna"}
        assert set(session.scalars(select(DeliveryRow.tenant))) == {"anna"}
    with client.stream("GET", f"/v1/jobs/{ids['ranking_id']}/events", headers=anna) as answer:
        assert "job.succeeded" in answer.read().decode()


def test_a_ranking_that_goes_on_into_a_tuning_wants_that_scope(client, database, settings, tmp_path):
    _, headers = new_key(database, settings, "anna", Scope.READ, Scope.WRITE)
    dataset = client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=headers).json()["id"]
    found = client.post("/v1/rankings", json={"dataset": dataset, "then": {}}, headers=headers)
    is_problem(found, 403, "scope_missing")


def test_a_revoked_key_is_good_for_seconds_at_most(client, database, settings, monkeypatch):
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0.0)
    key_id, headers = new_key(database, settings, "anna")
    assert client.get("/v1/jobs", headers=headers).status_code == 200
    with database.write_transaction() as session:
        revoke_key(session, key_id)
    is_problem(client.get("/v1/jobs", headers=headers), 401, "key_invalid")


def test_without_keys_only_this_machine_is_answered(client, database, settings):
    assert client.get("/v1/jobs").status_code == 200
    client.base_url = "http://192.168.1.7:8000"
    is_problem(client.get("/v1/jobs", headers={"host": "localhost"}), 403, "keys_required")
    assert client.get("/livez", headers={"host": "localhost"}).status_code == 200
    _, headers = new_key(database, settings, "anna")
    assert client.get("/v1/jobs", headers=headers | {"host": "localhost"}).status_code == 200


def test_a_service_without_keys_listens_to_nobody_else(client, settings):
    with pytest.raises(access.KeysRequired, match="keys create"):
        serve_api(settings.model_copy(update={"host": "0.0.0.0"}))  # noqa: S104 - refused


def test_keys_are_made_listed_rotated_and_revoked_from_the_command_line(client, settings, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(settings.home))
    get_settings.cache_clear()
    run = functools.partial(CliRunner().invoke, keys_command)
    made = run(["create", "ci", "--tenant", "anna", "--scope", "read", "--days", "30"])
    assert made.exit_code == 0, made.output
    headers = {"authorization": f"Bearer {made.output.strip()}"}
    assert client.get("/v1/jobs", headers=headers).json()["items"] == []
    is_problem(client.delete("/v1/jobs/x", headers=headers), 403, "scope_missing")
    key_id = made.output.split("_")[1]
    assert key_id in run(["list"]).output
    assert made.output.strip() not in run(["list", "--json"]).output
    second = run(["rotate", key_id, "--hours", "0"]).output.strip()
    assert client.get("/v1/jobs", headers={"authorization": f"Bearer {second}"}).status_code == 200
    assert run(["revoke", second.split("_")[1]]).exit_code == 0
    listed = run(["list", "--json"]).output
    assert ('"revoked"' in listed, '"expired"' in listed) == (True, True)
    assert run(["revoke", "0" * 16]).exit_code == 5
    get_settings.cache_clear()
