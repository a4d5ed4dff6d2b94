"""A checkpoint that joins a finished ranking."""

from __future__ import annotations

import pytest

from tests.api.asking import claim, finish, is_problem, upload


@pytest.fixture
def dataset(client, colours):
    return upload(client, colours).json()["id"]


def test_further_checkpoints_join_a_finished_ranking_on_its_terms(client, database, dataset):
    asked = {"dataset": dataset, "checkpoints": ["local:vit"], "scores": ["logme"], "max_examples": 50, "seed": 3}
    first = client.post("/v1/rankings", json=asked).json()["id"]
    added = {"checkpoints": ["local:resnet"]}
    is_problem(client.post(f"/v1/rankings/{first}/extend", json=added), 409, "job_not_over")
    finish(database, claim(database))
    answer = client.post(f"/v1/rankings/{first}/extend", json=added)
    assert answer.status_code == 202, answer.text
    second = answer.json()["id"]
    assert second != first
    assert answer.json()["progress"]["steps_total"] == 2
    steps = [claim(database), claim(database)]
    assert {step.name for step in steps} == {"local:vit", "local:resnet"}
    for step in steps:
        finish(database, step)
    ranking = client.get(f"/v1/rankings/{second}").json()
    terms = ranking["provenance"]
    assert (terms["scores"], terms["max_examples"], terms["seed"]) == (["logme"], 50, 3)
    assert len(ranking["ranking"]) == 2


def test_what_cannot_join_is_refused(client, database, dataset):
    first = client.post("/v1/rankings", json={"dataset": dataset, "checkpoints": ["local:vit"]}).json()["id"]
    finish(database, claim(database))
    extend = lambda **body: client.post(f"/v1/rankings/{first}/extend", json=body)  # noqa: E731
    is_problem(extend(checkpoints=["local:nope"]), 422, "checkpoint_not_found")
    is_problem(extend(typo=[]), 422, "request_invalid")
    is_problem(client.post("/v1/rankings/rank_none/extend", json={}), 404, "not_found")
