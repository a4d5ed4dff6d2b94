"""Datasets over HTTP once they are there: listed, forgotten, and what forgetting one does to jobs."""

from __future__ import annotations

import hashlib

import pytest

from api import health
from api.datasets import service
from frontrunner.store import open_store
from jobs.datasets import forget_upload
from models import FeatureRow
from tests.api.asking import claim, finish, is_problem, upload_features


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


def stored(settings):
    store = open_store(settings)
    return [found.name for prefix in ("blobs", "cache") for found in store.list(prefix)]


def test_a_list_shows_datasets_without_their_reports(client, tmp_path):
    dataset = upload_features(client, tmp_path)
    (item,) = client.get("/v1/datasets").json()["items"]
    assert item.keys() == {"id", "name", "bytes", "created_at"}
    assert item == {name: client.get(f"/v1/datasets/{dataset}").json()[name] for name in item}


def test_a_forgotten_dataset_leaves_neither_bytes_nor_features(client, settings, database, tmp_path):
    dataset = upload_features(client, tmp_path)
    client.post("/v1/rankings", json={"dataset": dataset})
    held = claim(database)
    finish(database, held)
    with database.read_transaction() as session:
        (row,) = session.query(FeatureRow).all()
    assert row.dataset_digest == client.get(f"/v1/datasets/{dataset}").json()["report"]["digest"]
    store = open_store(settings)
    with store.writing(f"cache/features/{row.key[:32]}/{row.key[32:]}/0.npy") as file:
        file.write(b"features")
    assert len(stored(settings)) == 2
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert stored(settings) == []
    is_problem(client.get(f"/v1/datasets/{dataset}"), 404, "dataset_not_found")
    is_problem(client.delete(f"/v1/datasets/{dataset}"), 404, "dataset_not_found")


def test_a_dataset_that_a_job_reads_stays(client, database, tmp_path):
    dataset = upload_features(client, tmp_path)
    job = client.post("/v1/rankings", json={"dataset": dataset}).json()["id"]
    assert job in is_problem(client.delete(f"/v1/datasets/{dataset}"), 409, "dataset_in_use")["detail"]
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    found = client.get(f"/v1/rankings/{job}").json()
    assert (found["status"], found["dataset"]["id"]) == ("cancelled", dataset)
    assert client.get(f"/v1/jobs/{job}").json()["dataset"] is None
    is_problem(client.post(f"/v1/jobs/{job}/retry"), 409, "dataset_gone")


def test_bytes_that_another_dataset_is_made_of_stay(client, settings):
    rows = "text,label,mood\n" + "".join(f"words {i},{i % 2},{i % 3}\n" for i in range(40))
    first, second = (
        client.post(f"/v1/datasets?name=t.csv&label={c}", content=rows).json()["id"] for c in ("label", "mood")
    )
    client.delete(f"/v1/datasets/{first}")
    assert len(stored(settings)) == 1
    client.delete(f"/v1/datasets/{second}")
    assert stored(settings) == []


def test_forgotten_data_can_be_uploaded_again(client, tmp_path):
    dataset = upload_features(client, tmp_path)
    client.delete(f"/v1/datasets/{dataset}")
    assert upload_features(client, tmp_path) == dataset
    assert client.post("/v1/rankings", json={"dataset": dataset}).status_code == 202


def test_readiness_sees_a_full_disk_and_a_damaged_database(client, settings, monkeypatch):
    assert client.get("/readyz").json()["storage"] == "ok"
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 1 << 60)
    assert client.get("/readyz").json()["storage"].startswith("full")
    client.app.state.frontrunner.database.engine.dispose()
    for suffix in ("-wal", "-shm"):
        (settings.home / f"frontrunner.db{suffix}").unlink(missing_ok=True)
    path = settings.home / "frontrunner.db"
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] != "ok"
    is_problem(client.get("/v1/jobs"), 503, "database_unavailable")


@pytest.mark.parametrize("moment", ["before the check", "after the check"])
def test_bytes_that_another_process_forgets_meanwhile_are_kept_all_the_same(client, tmp_path, monkeypatch, moment):
    """An equal upload that was refused there is forgotten while this one is checked, before its dataset is written."""
    state, check = client.app.state.frontrunner, service.check_isolated

    def forgotten_meanwhile(path, options, **named):
        (blob,) = (found.name.rpartition("/")[2] for found in state.store.list("blobs"))
        if moment == "before the check":
            forget_upload(state.database, state.store, blob)
        report = check(path, options, **named)
        forget_upload(state.database, state.store, blob)
        return report

    monkeypatch.setattr(service, "check_isolated", forgotten_meanwhile)
    dataset = upload_features(client, tmp_path)
    assert client.get(f"/v1/datasets/{dataset}").status_code == 200
    ((name, size, _),) = state.store.list("blobs")
    assert size == (tmp_path / "features-0.npz").stat().st_size
    assert hashlib.sha256(state.store.read(name)).hexdigest() == name.rpartition("/")[2]
