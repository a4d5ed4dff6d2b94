"""Checks of uploads: few at a time, none for ever, and nobody else waits for them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.datasets import checking, service
from benchmarks.service.servers import wait_until
from tests.api.asking import is_problem

TABLE = "text,label\n" + "".join(f"words {i},{i % 2}\n" for i in range(40))


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"check_concurrency": 2})


@pytest.fixture
def held(monkeypatch):
    """Checks do not begin until this is set; how many try to at the same time is counted."""
    release, check = threading.Event(), service.check_isolated
    release.running = []

    def wait_and_check(*arguments, **options):
        release.running.append(arguments)
        release.wait(120)
        return check(*arguments, **options)

    monkeypatch.setattr(service, "check_isolated", wait_and_check)
    yield release
    release.set()


def test_forty_uploads_at_once_leave_every_other_request_its_threads(client, held, monkeypatch):
    monkeypatch.setattr(checking, "MAX_WAIT_S", 120.0)

    def upload(number):
        return client.post(f"/v1/datasets?name={number}.csv", content=TABLE.replace("words", f"words{number}"))

    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(upload, number) for number in range(40)]
        wait_until(lambda: sum(answer.done() for answer in answers) >= 40 - 2 - 8, 60, "the refusals")
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/jobs").status_code == 200
        assert len(held.running) == 2
        assert sum(answer.done() for answer in answers) == 30, "they were answered while those were still waiting"
        held.set()
        found = [answer.result() for answer in answers]
    refused = [answer for answer in found if answer.status_code == 503]
    assert len(refused) == 30
    for answer in refused:
        is_problem(answer, 503, "checks_busy")
        assert int(answer.headers["retry-after"]) > 0
    assert sum(answer.status_code == 201 for answer in found) == 10


def test_an_upload_does_not_wait_for_ever_to_be_checked(client, held, monkeypatch):
    monkeypatch.setattr(checking, "MAX_WAIT_S", 0.3)
    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(client.post, f"/v1/datasets?name={n}", content=TABLE + f"more {n},1\n") for n in "ab"]
        wait_until(lambda: len(held.running) == 2, 60, "two checks")
        is_problem(client.post("/v1/datasets?name=c", content=TABLE), 503, "checks_busy")
        held.set()
        assert [answer.result().status_code for answer in first] == [201, 201]
