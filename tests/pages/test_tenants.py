"""One tenant's ids open no page to another."""

from __future__ import annotations

import pytest

from tests.api.asking import claim, finish
from tests.pages.conftest import Person, features, page_routes


@pytest.fixture
def anna(somebody, key_of):
    key_id, key = key_of("anna")
    somebody.sign_in(key)
    somebody.key_id = key_id
    return somebody


@pytest.fixture
def bert(another, key_of):
    _, key = key_of("bert")
    another.sign_in(key)
    return another


def world(person: Person, database) -> dict[str, str]:
    """What somebody has: by the names of parameters of paths."""
    page = person.upload("annas.npz", features()).headers["location"]
    ranking = person.post(f"{page}/rankings", at=page, fields="1").headers["location"]
    finish(database, claim(database))
    finish(database, claim(database))
    job = ranking.rpartition("/")[2]
    return {
        "dataset_id": page.rpartition("/")[2],
        "ranking_id": job,
        "job_id": job,
        "tuning_id": job,
        "key_id": person.key_id,
        "number": "0",
        "form": "json",
        "name": "README.md",
    }


def test_every_page_answers_404_to_another_tenants_ids(anna, bert, database):
    ids = world(anna, database)
    tried = 0
    for method, path in page_routes():
        if "{" not in path:
            continue
        address = path.format(**ids)
        answer = bert.get(address) if method == "GET" else bert.post(address)
        assert answer.status_code == 404, (method, path, answer.text)
        assert "annas" not in answer.text
        if method == "GET" and not any(word in path for word in ("tuning", "tasks", "previews")):
            with anna.client.stream("GET", address, headers={"accept": "text/html"}) as own:
                assert own.status_code == 200, path
        tried += 1
    assert tried >= 18


def test_lists_are_ones_own(anna, bert, database):
    ids = world(anna, database)
    for path in ("/", "/jobs", "/datasets", "/admin", "/admin/audit"):
        assert "annas" not in bert.get(path).text
        assert ids["job_id"] not in bert.get(path).text
        assert ids["key_id"] not in bert.get(path).text
    assert "annas" in anna.get("/jobs").text
    assert ids["key_id"] in anna.get("/admin").text
