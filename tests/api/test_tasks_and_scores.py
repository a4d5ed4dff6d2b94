"""`/v1/scores` and `/v1/task-distances` at the door; `tests/acceptance/test_command_line.py` has distances computed."""

from __future__ import annotations

import pytest

from frontrunner import scores
from tests.api.asking import is_problem, upload, upload_features
from tests.conftest import class_images


@pytest.fixture
def other(zip_of):
    return zip_of(class_images(6, 15, seed=3), "other.zip")


def test_every_registered_score_and_the_discrepancy_are_listed_with_what_they_need(client):
    items = {entry["name"]: entry for entry in client.get("/v1/scores").json()["items"]}
    assert list(items) == ["predicted_accuracy", *scores.names(), "discrepancy", "risk_bound", "published_risk_bound"]
    for name in scores.names():
        known = scores.describe(name)
        assert (items[name]["needs"], items[name]["citation"]) == (known.needs, known.citation)
        assert items[name]["tasks"] == sorted(known.tasks)


def test_a_comparison_is_one_job_over_its_datasets(client, colours, other):
    ids = [upload(client, path).json()["id"] for path in (colours, other)]
    answer = client.post("/v1/task-distances", json={"datasets": ids, "checkpoint": "local:resnet"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["progress"]["examples_total"]) == ("task_distances", 170)
    assert answer.headers["location"] == job["result"] == f"/v1/task-distances/{job['id']}"
    partial = client.get(job["result"]).json()
    assert (partial["status"], partial["matrix"]) == ("queued", None)


def test_comparisons_that_cannot_be_made_are_refused_at_once(client, colours, tmp_path):
    first = upload(client, colours).json()["id"]
    features = upload_features(client, tmp_path)

    def ask(datasets, checkpoint="local:resnet", **more):
        return client.post("/v1/task-distances", json={"datasets": datasets, "checkpoint": checkpoint, **more})

    is_problem(ask([first]), 422, "request_invalid")
    is_problem(ask([first, first], beta=0), 422, "request_invalid")
    is_problem(ask([first, "ds_nope"]), 404, "dataset_not_found")
    is_problem(ask([first, first], "local:nope"), 422, "checkpoint_not_found")
    is_problem(ask([first, features]), 422, "modality_mismatch")
