"""A partial result is made once a version, and is never another version's or another tenant's."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from api.jobs import conditional
from api.jobs.shown import MAX_BODY_BYTES, MAX_BYTES, Shown
from benchmarks.service.servers import wait_until
from tests.api.asking import claim, finish, is_problem, upload
from tests.api.test_access import features, hub, new_key

__all__ = ["hub"]


def test_only_the_newest_version_is_kept_and_what_was_asked_for_last(monkeypatch):
    shown = Shown()
    shown.keep("a", 2, b"two")
    shown.keep("a", 1, b"one")
    assert (shown.find("a", 1), shown.find("a", 2), shown.find("b", 2)) == (None, b"two", None)
    shown.keep("large", 1, bytes(MAX_BODY_BYTES + 1))
    assert shown.find("large", 1) is None
    for number in range(MAX_BYTES // MAX_BODY_BYTES):
        assert shown.find("a", 2) == b"two"
        shown.keep(f"job_{number}", 1, bytes(MAX_BODY_BYTES))
    kept = [number for number in range(8) if shown.find(f"job_{number}", 1) is not None]
    assert kept == list(range(1, 8))
    assert shown.find("a", 2) == b"two"


def test_polls_of_a_running_ranking_make_it_once_a_version(client, database, tmp_path, monkeypatch):
    path = tmp_path / "three.npz"
    generator = np.random.default_rng(0)
    np.savez(path, **{name: generator.normal(size=(60, 8)) for name in "abc"}, labels=np.arange(60) % 3)
    dataset = upload(client, path).json()["id"]
    job = client.post("/v1/rankings", json={"dataset": dataset}).json()["id"]
    made = []
    original = conditional.result_json
    monkeypatch.setattr(conditional, "result_json", lambda *asked: made.append(1) or original(*asked))
    ask = lambda: client.get(f"/v1/rankings/{job}").json()  # noqa: E731
    assert [len(ask()["ranking"]) for _ in range(3)] == [0, 0, 0]
    assert len(made) == 1
    finish(database, claim(database))
    assert [len(ask()["ranking"]) for _ in range(3)] == [1, 1, 1]
    assert len(made) == 2
    for _ in range(2):
        finish(database, claim(database))
    assert (ask()["status"], len(ask()["ranking"])) == ("succeeded", 3)


def test_another_tenant_is_not_shown_what_one_has_just_polled(client, database, settings, tmp_path):
    _, anna = new_key(database, settings, "anna")
    _, bert = new_key(database, settings, "bert")
    dataset = client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=anna).json()["id"]
    job = client.post("/v1/rankings", json={"dataset": dataset}, headers=anna).json()["id"]
    assert client.get(f"/v1/rankings/{job}", headers=anna).status_code == 200
    is_problem(client.get(f"/v1/rankings/{job}", headers=bert), 404, "not_found")


def test_those_who_ask_at_one_moment_have_it_made_once():
    shown, made, asking = Shown(), [], []

    def make():
        made.append(1)
        wait_until(lambda: len(asking) == 8, 60, "the others")
        time.sleep(0.2)  # the last one has but a few instructions to go
        return bytes(MAX_BODY_BYTES + 1)  # too large to be kept

    def ask(number):
        asking.append(number)
        return shown.show("job", 1, make)

    with ThreadPoolExecutor(8) as pool:
        assert {len(body) for body in pool.map(ask, range(8))} == {MAX_BODY_BYTES + 1}
    assert len(made) == 1
    shown.show("job", 1, make)
    assert len(made) == 2, "what is too large is made anew the next time"
