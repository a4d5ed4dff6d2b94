"""A finished ranking in the light of the service's own history."""

from __future__ import annotations

import numpy as np

from frontrunner.evidence import PastResult
from jobs.history import import_results
from jobs.kinds.ranking import KIND
from tests.api.asking import claim, is_problem, upload
from tests.jobs.rows import output

SETS = ("set-a", "set-b", "set-c")


def ranked(client, database, tmp_path, scores):
    """A ranking of two feature sets that came out with these scores; its id."""
    generator = np.random.default_rng(0)
    path = tmp_path / "two.npz"
    sets = {name: generator.normal(size=(60, 8)) for name in scores}
    np.savez(path, **sets, labels=np.repeat([0, 1, 2], 20))
    dataset = upload(client, path).json()["id"]
    job = client.post("/v1/rankings", json={"dataset": dataset}).json()
    while held := claim(database):
        from jobs import lifecycle

        with database.write_transaction() as session:
            lifecycle.succeed_step(session, held, output(scores[held.name.partition(":")[2]]))
    return job["id"]


def test_past_results_outweigh_a_small_lead_and_the_newest_are_counted(client, database, tmp_path):
    """`low` scores less, and was the best on three sets: without history the scores' order, with it the past's."""
    ranking = ranked(client, database, tmp_path, {"low": 0.1, "high": 0.2})
    before = client.get(f"/v1/rankings/{ranking}/outlook").json()
    assert [place["checkpoint"].partition(":")[2] for place in before["places"]] == ["high", "low"]
    assert [place["past_results"] for place in before["places"]] == [0, 0]
    past = [
        PastResult(model=model, dataset=name, accuracy=accuracy, protocol="ours")
        for name in SETS
        for model, accuracy in (("low", 0.9), ("high", 0.5), ("x", 0.6), ("y", 0.7))
    ]
    # Of another protocol, by which all is the other way round; fewer, so they do not count unless they are named.
    other = [
        PastResult(model=model, dataset=name, accuracy=accuracy, protocol="theirs")
        for name in SETS[:2]
        for model, accuracy in (("low", 0.5), ("high", 0.9), ("x", 0.7), ("y", 0.6))
    ]
    with database.write_transaction() as session:
        import_results(session, past + other)
    after = client.get(f"/v1/rankings/{ranking}/outlook").json()
    assert [place["checkpoint"].partition(":")[2] for place in after["places"]] == ["low", "high"]
    assert [place["past_results"] for place in after["places"]] == [3, 3]
    named = client.get(f"/v1/rankings/{ranking}/outlook", params={"protocol": "theirs"}).json()
    assert [place["checkpoint"].partition(":")[2] for place in named["places"]] == ["high", "low"]


def test_a_ranking_that_runs_and_one_that_is_none_have_no_outlook(client, tmp_path, colours):
    dataset = upload(client, colours).json()["id"]
    job = client.post("/v1/rankings", json={"dataset": dataset}).json()["id"]
    is_problem(client.get(f"/v1/rankings/{job}/outlook"), 409, "job_not_over")
    is_problem(client.get("/v1/rankings/rank_none/outlook"), 404, "not_found")
    assert KIND.name == "ranking"
