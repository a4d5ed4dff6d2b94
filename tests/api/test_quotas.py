"""Quotas and rates over HTTP: what does not fit is refused with 429, and everybody can see why."""

from __future__ import annotations

import functools
import json
import re

import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from api import rates
from frontrunner.settings import get_settings
from jobs.commands.keys import keys as keys_command
from jobs.quotas import set_limits
from models import AuditRow, ComputeUseRow, DatasetRow, JobRow
from tests.api.asking import claim, finish, is_problem, upload_features
from tests.api.test_access import features, hub, new_key
from tests.servers import redis_server

__all__ = ["hub"]


def allow(database, tenant="default", **said):
    with database.write_transaction() as session:
        set_limits(session, tenant, said)


def blobs(settings):
    return [path for path in (settings.home / "blobs").rglob("*") if path.is_file()]


def post(client, data, name="f.npz", **more):
    return client.post(f"/v1/datasets?name={name}", content=data, **more)


def test_an_upload_beyond_the_quota_is_cut_off_and_leaves_nothing(client, database, settings, tmp_path):
    data = features(tmp_path)
    allow(database, bytes=len(data) + 100)
    assert post(client, data).status_code == 201
    refused = is_problem(post(client, b"x" * 1_500_000), 429, "quota_exceeded")
    assert f"{len(data) + 100:,} bytes" in refused["detail"]
    assert len(blobs(settings)) == 1
    assert client.get("/v1/quota").json()["bytes"] == {"limit": len(data) + 100, "used": len(data)}
    (kept,) = client.get("/v1/datasets").json()["items"]
    assert client.delete(f"/v1/datasets/{kept['id']}").status_code == 204
    assert post(client, data).status_code == 201


def test_too_many_datasets_are_refused_and_their_bytes_are_not_kept(client, database, settings, tmp_path):
    allow(database, datasets=2)
    for seed in (1, 2):
        upload_features(client, tmp_path, seed)
    again = (tmp_path / "features-1.npz").read_bytes()
    assert post(client, again, "again.npz").status_code == 200  # the same data is no other dataset
    third = post(client, features(tmp_path))
    assert "retry-after" not in third.headers
    is_problem(third, 429, "quota_exceeded")
    with database.read_transaction() as session:
        assert session.scalar(select(func.count()).select_from(DatasetRow)) == 2
    client.portal.call(client.app.state.frontrunner.incoming.drain)
    assert len(blobs(settings)) == 2


def test_a_refused_dataset_leaves_no_bytes_unless_they_are_anothers(client, database, settings, tmp_path):
    data = features(tmp_path)
    _, anna = new_key(database, settings, "anna")
    _, bert = new_key(database, settings, "bert")
    kept = post(client, data, headers=anna).json()["id"]
    for body in (data, b"PK\x03\x04 no archive"):
        refused = client.post("/v1/datasets?name=f.npz&label=nothing", content=body, headers=bert)
        assert refused.status_code in (415, 422)
    client.portal.call(client.app.state.frontrunner.incoming.drain)
    assert len(blobs(settings)) == 1
    # Bert's own dataset of these bytes goes; Anna's stays whole.
    own = post(client, data, headers=bert).json()["id"]
    assert client.delete(f"/v1/datasets/{own}", headers=bert).status_code == 204
    assert len(blobs(settings)) == 1
    assert client.delete(f"/v1/datasets/{kept}", headers=anna).status_code == 204
    assert blobs(settings) == []
    with database.read_transaction() as session:
        assert session.scalars(select(DatasetRow)).all() == []


def test_jobs_that_are_not_over_are_bounded_and_one_that_ends_makes_room(client, database, tmp_path):
    dataset = upload_features(client, tmp_path)
    allow(database, jobs=1)
    ask = functools.partial(client.post, "/v1/rankings")
    first = ask(json={"dataset": dataset}).json()["id"]
    assert ask(json={"dataset": dataset}).json()["id"] == first  # the same work is the same job
    refused = ask(json={"dataset": dataset, "seed": 1})
    assert int(refused.headers["retry-after"]) > 0
    is_problem(refused, 429, "quota_exceeded")
    client.post(f"/v1/jobs/{first}/cancel")
    second = ask(json={"dataset": dataset, "seed": 1})
    assert second.status_code == 202
    is_problem(client.post(f"/v1/jobs/{first}/retry"), 429, "quota_exceeded")
    finish(database, claim(database))
    assert client.post(f"/v1/jobs/{first}/retry").status_code == 202
    with database.read_transaction() as session:
        assert session.scalar(select(func.count()).select_from(JobRow)) == 2
    assert client.get("/v1/quota").json()["jobs"] == {"limit": 1, "used": 1}


def test_an_hour_of_compute_that_is_used_up_is_said(client, database, tmp_path):
    dataset = upload_features(client, tmp_path)
    client.post("/v1/rankings", json={"dataset": dataset})
    finish(database, claim(database))
    with database.write_transaction() as session:
        session.execute(update(ComputeUseRow).values(seconds=500.0))
    allow(database, compute_s=400.0)
    refused = client.post("/v1/rankings", json={"dataset": dataset, "seed": 1})
    is_problem(refused, 429, "quota_exceeded")
    assert refused.headers["retry-after"] == "60"
    assert client.get("/v1/quota").json()["compute_s"] == {"limit": 400.0, "used": 500.0}


def test_requests_are_counted_by_tenant_and_said_in_every_answer(client, database, settings):
    _, anna = new_key(database, settings, "anna")
    _, bert = new_key(database, settings, "bert")
    allow(database, "anna", requests=3)
    for left in (2, 1, 0):
        answer = client.get("/v1/jobs/x" if left else "/v1/scores", headers=anna)
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        found = re.fullmatch(rf'"requests";r={left};t=(\d+)', answer.headers["ratelimit"])
        assert 0 < int(found[1]) <= 60
    refused = client.get("/v1/scores", headers=anna)
    is_problem(refused, 429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"requests";r=0;')
    assert client.get("/v1/scores", headers=bert).status_code == 200
    assert client.get("/livez").status_code == 200


def test_a_user_without_keys_has_limits_that_nobody_meets(client):
    found = client.get("/v1/quota").json()
    assert found["tenant"] == "default"
    assert (found["bytes"]["limit"], found["compute_s"]["limit"]) == (1 << 40, None)
    assert found["requests"] == {"limit": 60_000, "used": 1}


def test_limits_are_said_and_shown_on_the_command_line(client, database, settings, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(settings.home))
    get_settings.cache_clear()
    run = functools.partial(CliRunner().invoke, keys_command)
    said = run(["quota", "anna", "--bytes", "1000", "--requests", "0", "--compute-seconds", "60.5", "--json"])
    assert said.exit_code == 0, said.output
    limits = json.loads(said.output)["limits"]
    assert limits == {"bytes": 1000, "datasets": 100_000, "jobs": 10_000, "compute_s": 60.5, "requests": 0}
    _, anna = new_key(database, settings, "anna")
    found = client.get("/v1/quota", headers=anna).json()
    assert (found["bytes"]["limit"], found["requests"]["limit"]) == (1000, None)
    shown = run(["quota", "anna", "--reset"])
    assert "1,099,511,627,776" in shown.output
    assert run(["quota", "No such"]).exit_code == 5
    with database.read_transaction() as session:
        assert session.scalars(select(AuditRow.action).where(AuditRow.tenant == "anna")).all() == ["setQuota"] * 2
    get_settings.cache_clear()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_processes_with_one_redis_count_together_and_without_it_each_for_itself(tmp_path, anyio_backend):
    with redis_server(tmp_path) as server:
        one, two = rates.Rates(server.url), rates.Rates(server.url)
        assert {(await which.take("anna", 100)).left for which in (one, two, one)} == {99, 98, 97}
    for _ in range(2):
        await one.take("anna", 100)
    assert (await one.take("anna", 100)).left == 97
    assert (await two.take("anna", 100)).left == 99
    for _ in range(99):
        await two.take("anna", 100)
    with pytest.raises(rates.RateLimited):
        await two.take("anna", 100)
    assert await one.take("anna", 0) == rates.UNLIMITED
    for each in (one, two):
        await each.close()
