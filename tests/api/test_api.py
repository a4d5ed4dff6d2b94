"""The HTTP door, in this process, without a worker: what is accepted, what is refused and how."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from models import Database, JobRow, StepRow
from tests.api.asking import is_problem, upload
from tests.conftest import class_images


def test_serving_loads_no_torch():
    code = (
        "import sys, api.app, api.serve, workers.app; assert not {'torch', 'timm', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dataset_is_checked_stored_and_found_again(client, colours):
    answer = upload(client, colours)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{body['id']}"
    assert body["report"]["train_examples"] == 80
    assert client.get(answer.headers["location"]).json() == body
    assert [item["id"] for item in client.get("/v1/datasets").json()["items"]] == [body["id"]]


def test_the_same_data_is_stored_once(client, colours, settings):
    first, second = upload(client, colours), upload(client, colours)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len([path for path in (settings.home / "blobs").rglob("*") if path.is_file()]) == 1


def test_a_raw_body_is_a_dataset_too(client, colours):
    answer = client.post("/v1/datasets?name=mine.zip", content=colours.read_bytes())
    assert (answer.status_code, answer.json()["name"]) == (201, "mine.zip")


def test_reading_options_come_as_fields(client, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,grade,mood\n" + "".join(f"words {i},{i % 2},{i % 3}\n" for i in range(60)))
    assert len(upload(client, path, label="mood").json()["report"]["classes"]) == 3
    is_problem(upload(client, path, label="mood", task="guessing"), 400, "request_malformed")


def test_uploads_on_which_nothing_can_be_ranked_are_refused_and_leave_no_row(client, zip_of, tmp_path):
    empty = tmp_path / "empty.zip"
    empty.write_bytes(b"")
    text = tmp_path / "not-a.zip"
    text.write_bytes(b"PK\x03\x04 broken")
    is_problem(upload(client, zip_of(class_images(1, 5))), 422, "dataset_one_class")
    is_problem(upload(client, zip_of({})), 422, "dataset_empty")
    is_problem(upload(client, empty), 422, "dataset_empty")
    is_problem(upload(client, text), 422, "dataset_unreadable")
    assert client.get("/v1/datasets").json()["items"] == []


def test_an_upload_over_the_limit_is_refused_and_leaves_no_byte(client, tmp_path, settings):
    path = tmp_path / "large.bin"
    path.write_bytes(np.random.default_rng(0).bytes(2_000_001))
    is_problem(upload(client, path), 413, "dataset_too_large")
    assert [p for p in (settings.home / "blobs").rglob("*") if p.is_file()] == []


def test_forms_that_are_no_forms_are_refused(client):
    is_problem(client.post("/v1/datasets", data={"task": "x"}, files={"f": ("", b"")}), 400, "request_malformed")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    is_problem(client.post("/v1/datasets", content=cut, headers=headers), 400, "request_malformed")
    is_problem(client.post("/v1/datasets", content=b"junk", headers=headers), 400, "request_malformed")


def test_a_ranking_is_accepted_with_a_job_to_poll(client, colours, settings):
    dataset = upload(client, colours).json()["id"]
    answer = client.post("/v1/rankings", json={"dataset": dataset, "max_examples": 30})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/rankings/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert (job["status"], job["progress"]) == (
        "queued",
        {"steps_total": 3, "steps_done": 0, "examples_done": 0, "examples_total": 90},
    )
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    partial = client.get(answer.headers["location"]).json()
    assert (partial["status"], partial["ranking"]) == ("queued", [])
    database = Database(settings.resolved_database_url)
    with database.read_transaction() as session:
        assert session.query(JobRow).count() == 1
        assert session.query(StepRow).count() == 3
    assert len(list(settings.messages.glob("*.cpu.msg"))) == 3


def test_a_recommendation_is_both_requests_in_one(client, colours):
    with colours.open("rb") as file:
        answer = client.post(
            "/v1/recommendations",
            files={"file": ("c.zip", file)},
            data={"options": json.dumps({"checkpoints": ["local:vit"], "scores": ["logme", "h_score"]})},
        )
    assert (answer.status_code, answer.json()["progress"]["steps_total"]) == (202, 1)


def test_requests_that_make_no_sense_are_refused_and_leave_no_job(client, colours):
    dataset = upload(client, colours).json()["id"]
    post = lambda **body: client.post("/v1/rankings", json=body)  # noqa: E731
    is_problem(post(dataset="ds_unknown"), 404, "dataset_not_found")
    is_problem(post(dataset=dataset, checkpoints=["local:nope"]), 422, "checkpoint_not_found")
    assert "local:nope" in post(dataset=dataset, checkpoints=["local:nope"]).json()["detail"]
    is_problem(post(dataset=dataset, scores=["nope"]), 422, "unknown_score")
    is_problem(post(dataset=dataset, budget="ten minutes"), 422, "budget_invalid")
    found = is_problem(post(dataset=dataset, max_examples=0, typo=1), 422, "request_invalid")
    assert {entry["at"] for entry in found["errors"]} == {"body.max_examples", "body.typo"}
    assert client.get("/v1/jobs").json()["items"] == []


def test_texts_cannot_be_ranked_by_a_hub_of_images(client, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"words {i},{i % 2}\n" for i in range(60)))
    dataset = upload(client, path).json()["id"]
    is_problem(client.post("/v1/rankings", json={"dataset": dataset}), 422, "nothing_ranked")


def test_checkpoints_are_listed_by_pages(client):
    first = client.get("/v1/checkpoints?limit=2").json()
    assert [item["id"] for item in first["items"]] == ["local:mobilenet", "local:resnet"]
    rest = client.get(f"/v1/checkpoints?limit=2&cursor={first['next']}").json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["local:vit"], None)
    assert client.get("/v1/checkpoints/local:vit").json()["architecture"] == "test_vit"
    is_problem(client.get("/v1/checkpoints/local:nope"), 404, "not_found")


def test_a_job_that_waits_is_cancelled_at_once(client, colours):
    job = client.post("/v1/rankings", json={"dataset": upload(client, colours).json()["id"]}).json()
    assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
    ranking = client.get(f"/v1/rankings/{job['id']}").json()
    assert {entry["code"] for entry in ranking["skipped"]} == {"cancelled"}


def test_unknown_things_are_problems(client):
    is_problem(client.get("/v1/jobs/job_nope"), 404, "not_found")
    is_problem(client.get("/v1/rankings/job_nope"), 404, "not_found")
    is_problem(client.get("/nowhere"), 404, "not_found")
    is_problem(client.delete("/livez"), 405, "method_not_allowed")


def test_readiness_tells_the_parts_apart(client):
    assert client.get("/livez").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert (body["database"], body["broker"]) == ("ok", "ok")
    assert "frontrunner worker" in body["workers"]


def test_every_operation_is_named_and_documents_its_problems(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for name in ("createDataset", "createRanking", "createRecommendation", "getRanking", "getJob", "listCheckpoints"):
        assert name in names
