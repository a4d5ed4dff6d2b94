"""Uploads in parts: whatever breaks off, comes twice or comes at once, the dataset is what was sent."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from frontrunner.limits import PART_BYTES
from frontrunner.store import open_store
from jobs import uploads
from models import UploadPartRow, UploadRow
from tests.api.asking import is_problem, upload_features
from tests.api.conftest import serving_here
from tests.api.test_access import features, hub
from workers.maintenance import Maintenance

__all__ = ["hub"]


def begin(client, key=None, **fields):
    headers = {} if key is None else {"idempotency-key": key}
    answer = client.post("/v1/uploads", json={"name": "f.npz", **fields}, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def send(client, upload, offset, data):
    return client.patch(f"/v1/uploads/{upload}", content=data, headers={"upload-offset": str(offset)})


def end(client, upload, **fields):
    return client.post(f"/v1/uploads/{upload}/dataset", json=fields)


@pytest.fixture
def data(tmp_path):
    return features(tmp_path)


def files_of(settings):
    return [path for path in (settings.home / "parts").rglob("*") if path.is_file()]


def test_parts_become_the_dataset_that_the_whole_would_be(client, settings, data, tmp_path):
    upload = begin(client)
    assert (upload["offset"], upload["part_bytes"], upload["dataset"]) == (0, PART_BYTES, None)
    for offset in range(0, len(data), 1000):
        answer = send(client, upload["id"], offset, data[offset : offset + 1000])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(min(offset + 1000, len(data))))
    made = end(client, upload["id"], sha256=hashlib.sha256(data).hexdigest())
    assert made.status_code == 201
    assert made.json()["id"] == upload_features(client, tmp_path)
    assert files_of(settings) == [], "the parts are gone"
    again = end(client, upload["id"])
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"]), "who did not hear the answer asks again"
    assert client.get(f"/v1/uploads/{upload['id']}").json()["dataset"] == made.json()["id"]
    is_problem(send(client, upload["id"], len(data), b"more"), 409, "upload_over")


def test_where_an_upload_ends_is_told(client, data):
    upload = begin(client)["id"]
    send(client, upload, 0, data[:100])
    for answer in (client.head(f"/v1/uploads/{upload}"), client.get(f"/v1/uploads/{upload}")):
        assert (answer.status_code, answer.headers["upload-offset"]) == (200, "100")
    for wrong in (0, 99, 101, 2**40):
        refused = send(client, upload, wrong, b"x")
        is_problem(refused, 409, "upload_offset")
        assert refused.headers["upload-offset"] == "100"
    assert client.get(f"/v1/uploads/{upload}").json()["offset"] == 100


def test_the_same_key_gives_the_upload_that_is_to_be_carried_on(client, data):
    first = begin(client, key="mine")
    send(client, first["id"], 0, data[:100])
    again = begin(client, key="mine")
    assert (again["id"], again["offset"]) == (first["id"], 100)
    assert begin(client, key="mine", options={"label": "other"})["id"] != first["id"]
    assert begin(client, key="another")["id"] != first["id"]
    assert begin(client)["id"] != begin(client)["id"]
    send(client, first["id"], 100, data[100:])
    end(client, first["id"])
    assert begin(client, key="mine")["id"] != first["id"], "that one is a dataset by now"


def test_what_is_not_what_was_sent_makes_no_dataset(client, settings, data):
    upload = begin(client)["id"]
    send(client, upload, 0, data)
    is_problem(end(client, upload, sha256="0" * 64), 409, "upload_damaged")
    is_problem(client.get(f"/v1/uploads/{upload}"), 404, "upload_not_found")
    assert client.get("/v1/datasets").json()["items"] == []
    assert files_of(settings) == []


def test_nothing_is_kept_of_what_cannot_be_ranked(client, settings):
    upload = begin(client, name="empty.csv")["id"]
    send(client, upload, 0, b"text,label\n")
    assert end(client, upload).status_code == 422
    assert client.get(f"/v1/uploads/{upload}").status_code == 404
    assert files_of(settings) == []
    empty = begin(client)["id"]
    is_problem(send(client, empty, 0, b""), 422, "dataset_empty")
    is_problem(end(client, empty), 422, "dataset_empty")


def test_options_say_how_it_is_read(client):
    upload = begin(client, name="t.csv", options={"label": "b"})["id"]
    rows = "".join(f"words {i},x,{'yes' if i % 2 else 'no'}\n" for i in range(40))
    send(client, upload, 0, f"a,c,b\n{rows}".encode())
    made = end(client, upload)
    assert made.status_code == 201, made.text
    assert [each["name"] for each in made.json()["report"]["classes"]] == ["no", "yes"]


def test_too_much(client, settings):
    upload = begin(client)["id"]
    assert send(client, upload, 0, bytes(PART_BYTES + 1)).status_code == 413
    assert settings.max_upload_bytes < PART_BYTES
    is_problem(send(client, upload, 0, bytes(settings.max_upload_bytes + 1)), 413, "dataset_too_large")
    assert client.get(f"/v1/uploads/{upload}").json()["offset"] == 0


@pytest.mark.parametrize("path", ["/v1/uploads/up_none", "/v1/uploads/up_none/dataset"])
def test_an_upload_that_is_not_there(client, path):
    answer = client.post(path, json={}) if path.endswith("dataset") else send(client, "up_none", 0, b"x")
    is_problem(answer, 404, "upload_not_found")
    assert client.delete("/v1/uploads/up_none").status_code == 404


def test_a_deleted_upload_leaves_nothing(client, settings, data):
    upload = begin(client)["id"]
    send(client, upload, 0, data)
    assert files_of(settings)
    assert client.delete(f"/v1/uploads/{upload}").status_code == 204
    assert (files_of(settings), client.get(f"/v1/uploads/{upload}").status_code) == ([], 404)


def test_parts_that_come_at_once_for_one_place_are_one(client, database, data):
    upload = begin(client)["id"]
    size = len(data) // 4
    for offset in range(0, len(data), size):
        piece = data[offset : offset + size]
        with ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(send, *zip(*[(client, upload, offset, piece)] * 3, strict=True)))
        assert sorted(answer.status_code for answer in answers) == [204, 409, 409]
    with database.read_transaction() as session:
        assert session.query(UploadPartRow).count() == len(range(0, len(data), size))
    assert end(client, upload, sha256=hashlib.sha256(data).hexdigest()).status_code == 201


def test_a_part_that_another_was_faster_than_leaves_nothing(client, settings, data, monkeypatch):
    monkeypatch.setattr("api.partial_uploads.service._require_place", lambda *given: None)  # both were let in
    upload = begin(client)["id"]
    send(client, upload, 0, data[:100])
    (kept,) = files_of(settings)
    for late in (data[100:200], data[:100]):  # another one, and an equal one
        is_problem(send(client, upload, 0, late), 409, "upload_offset")
        assert files_of(settings) == [kept]
    send(client, upload, 100, data[100:])
    assert end(client, upload, sha256=hashlib.sha256(data).hexdigest()).status_code == 201


def test_quotas_count_what_is_on_its_way(settings, data, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_UNFINISHED", 2)
    limited = settings.model_copy(update={"quota_bytes": 2 * len(data) - 10})
    with serving_here(limited) as client:
        upload = begin(client)["id"]
        send(client, upload, 0, data)
        assert client.get("/v1/quota").json()["bytes"]["used"] == len(data)
        second = begin(client, name="g.npz")["id"]
        is_problem(send(client, second, 0, data), 429, "quota_exceeded")
        assert {path.parts[-3] for path in files_of(settings)} == {upload}, "who may keep no more leaves nothing behind"
        assert client.get(f"/v1/uploads/{second}").json()["offset"] == 0
        refused = client.post("/v1/datasets?name=h.npz", content=features(tmp_path, seed=3))
        is_problem(refused, 429, "quota_exceeded")
        is_problem(client.post("/v1/uploads", json={"name": "k.npz"}), 429, "quota_exceeded")
        assert end(client, upload).status_code == 201
        assert client.get("/v1/quota").json()["bytes"]["used"] == len(data), "counted once"


def test_a_part_whose_equal_another_process_removes_meanwhile_is_kept_all_the_same(client, data, monkeypatch):
    state, add_part = client.app.state.frontrunner, uploads.add_part
    upload = begin(client)["id"]

    def removed_meanwhile(session, tenant, upload_id, *arguments, blob, **named):
        state.store.remove(uploads.parts(state.store, upload_id).name(blob))
        return add_part(session, tenant, upload_id, *arguments, blob=blob, **named)

    monkeypatch.setattr(uploads, "add_part", removed_meanwhile)
    assert send(client, upload, 0, data).status_code == 204
    assert end(client, upload).status_code == 201


def test_what_nobody_carries_on_is_forgotten(client, database, settings, data):
    old, young = begin(client, name="old.npz")["id"], begin(client, name="young.npz")["id"]
    for upload in (old, young):
        send(client, upload, 0, data)
    with database.write_transaction() as session:
        session.get(UploadRow, old).touched_at = time.time() - settings.upload_expiry_s - 1
    assert Maintenance(database, settings, "test").run_once().uploads == 1
    assert [client.get(f"/v1/uploads/{upload}").status_code for upload in (old, young)] == [404, 200]
    assert {path.parts[-3] for path in files_of(settings)} == {young}
    with database.read_transaction() as session:
        assert {row.upload_id for row in session.query(UploadPartRow)} == {young}


def test_parts_of_no_upload_are_orphans(client, database, settings, data, monkeypatch):
    upload = begin(client)["id"]
    send(client, upload, 0, data)
    with uploads.parts(open_store(settings), "up_gone").receive(100) as writer:
        writer.write(b"left behind")
        writer.keep()
    monkeypatch.setattr("workers.maintenance.ORPHAN_AGE_S", -10.0)
    Maintenance(database, settings, "test").run_once()
    assert {path.parts[-3] for path in files_of(settings)} == {upload}
