"""Jobs over HTTP, without a worker: this test claims and ends their steps itself."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import update

from jobs import lifecycle
from models import IdempotencyRow, JobRow
from tests.api.asking import claim, finish, is_problem, upload_features


@pytest.fixture
def dataset(client, tmp_path):
    return upload_features(client, tmp_path)


def rank(client, dataset, *, key=None, seed=0, **query):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/rankings", json={"dataset": dataset, "seed": seed}, headers=headers, params=query)


def jobs(client, **query):
    return [item["id"] for item in client.get("/v1/jobs", params=query).json()["items"]]


def test_the_same_key_and_request_give_the_same_job_also_once_it_is_over(client, database, dataset):
    first = rank(client, dataset, key="k").json()
    finish(database, claim(database))
    again = rank(client, dataset, key="k")
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (202, first["id"], "succeeded")
    assert rank(client, dataset).json()["id"] != first["id"]


def test_the_same_key_with_another_request_is_refused(client, dataset):
    rank(client, dataset, key="k")
    is_problem(rank(client, dataset, key="k", seed=1), 422, "idempotency_key_reused")
    assert len(jobs(client)) == 1


def test_a_key_is_forgotten_when_it_expires(client, database, dataset):
    first = rank(client, dataset, key="k").json()
    finish(database, claim(database))
    with database.write_transaction() as session:
        session.execute(update(IdempotencyRow).values(expires_at=database.now() - 1))
    assert rank(client, dataset, key="k").json()["id"] != first["id"]


def test_a_recommendation_takes_a_key_too(client, colours):
    def ask():
        with colours.open("rb") as file:
            return client.post("/v1/recommendations", files={"file": ("c.zip", file)}, headers={"Idempotency-Key": "k"})

    assert ask().json()["id"] == ask().json()["id"]


def test_identical_requests_share_a_job_while_it_runs_and_no_longer(client, database, dataset):
    first = rank(client, dataset).json()
    held = claim(database)
    assert rank(client, dataset).json()["id"] == first["id"]
    assert rank(client, dataset, seed=1).json()["id"] != first["id"]
    finish(database, held)
    assert rank(client, dataset).json()["id"] != first["id"]


def test_identical_requests_at_the_same_moment_share_a_job(client, dataset):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(rank(client, dataset))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_higher_priorities_are_done_first(client, database, dataset):
    low, high = rank(client, dataset, seed=1, priority=0).json(), rank(client, dataset, seed=2, priority=9).json()
    assert [claim(database).job_id, claim(database).job_id] == [high["id"], low["id"]]
    is_problem(rank(client, dataset, priority=10), 422, "request_invalid")


def test_what_is_known_already_is_answered_with_304_until_it_changes(client, database, dataset):
    job = rank(client, dataset).json()
    for path in (f"/v1/jobs/{job['id']}", f"/v1/rankings/{job['id']}"):
        tag = client.get(path).headers["etag"]
        unchanged = client.get(path, headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    finish(database, claim(database))
    changed = client.get(path, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "succeeded")
    assert "retry-after" not in changed.headers


def later(delay_s, work, *arguments):
    thread = threading.Timer(delay_s, work, arguments)
    thread.start()
    return thread


def test_a_client_may_wait_for_the_end_instead_of_polling(client, database, dataset):
    job = rank(client, dataset).json()
    held = claim(database)
    ending = later(0.5, finish, database, held)
    began = time.monotonic()
    answer = client.get(f"/v1/rankings/{job['id']}", headers={"Prefer": "respond-async, wait=20"})
    assert 0.4 < time.monotonic() - began < 19
    assert (answer.json()["status"], answer.headers["preference-applied"]) == ("succeeded", "wait=20")
    ending.join()


def test_a_wait_ends_in_time_and_is_bounded(client, dataset):
    job = rank(client, dataset).json()
    began = time.monotonic()
    answer = client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=1"})
    assert 0.9 < time.monotonic() - began < 30
    assert answer.json()["status"] == "queued"
    client.post(f"/v1/jobs/{job['id']}/cancel")
    over = client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=99999"})
    assert over.headers["preference-applied"] == "wait=60"


def test_a_client_that_knows_a_state_waits_for_the_next(client, database, dataset):
    job = rank(client, dataset).json()
    tag = client.get(f"/v1/jobs/{job['id']}").headers["etag"]
    starting = later(0.3, claim, database)
    answer = client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=20", "If-None-Match": tag})
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    starting.join()


def events(client, job_id, **headers):
    """(id, type) of every event until the stream ends."""
    found = []
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event:
                found.append((int(event["id"]), event["event"]))
                event = {}
    return found


EVENTS = ["job.queued", "job.running", "step.running", "step.succeeded", "job.succeeded"]


def test_events_are_streamed_from_the_beginning_to_the_end(client, database, dataset):
    job = rank(client, dataset).json()
    held = claim(database)
    ending = later(0.5, finish, database, held)
    assert events(client, job["id"]) == list(enumerate(EVENTS, start=1))
    ending.join()


def test_events_are_replayed_from_where_a_client_left_off(client, database, dataset):
    job = rank(client, dataset).json()
    finish(database, claim(database))
    assert events(client, job["id"], **{"Last-Event-ID": "3"}) == [(4, "step.succeeded"), (5, "job.succeeded")]
    assert events(client, job["id"], **{"Last-Event-ID": "5"}) == []
    is_problem(client.get("/v1/jobs/job_nope/events"), 404, "not_found")


def test_a_job_is_retried_over_http(client, database, dataset):
    job = rank(client, dataset).json()
    is_problem(client.post(f"/v1/jobs/{job['id']}/retry"), 409, "nothing_to_retry")
    held = claim(database)
    with database.write_transaction() as session:
        lifecycle.fail_step(session, held, "checkpoint_unreadable", "r")
    assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "failed"
    again = client.post(f"/v1/jobs/{job['id']}/retry")
    assert (again.status_code, again.json()["status"], again.json()["failure"]) == (202, "queued", None)
    finish(database, claim(database))
    assert client.get(f"/v1/rankings/{job['id']}").json()["status"] == "succeeded"


def test_a_job_is_deleted_over_http_once_it_is_over(client, dataset):
    job = rank(client, dataset, key="k").json()
    is_problem(client.delete(f"/v1/jobs/{job['id']}"), 409, "job_not_over")
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    is_problem(client.get(f"/v1/jobs/{job['id']}"), 404, "not_found")
    is_problem(client.delete(f"/v1/jobs/{job['id']}"), 404, "not_found")
    assert rank(client, dataset, key="k").json()["id"] != job["id"]


def test_jobs_are_listed_by_pages_and_narrowed(client, database, dataset, tmp_path):
    other = upload_features(client, tmp_path, seed=1)
    made = [rank(client, dataset, seed=seed).json()["id"] for seed in range(3)]
    made.append(rank(client, other).json()["id"])
    finish(database, claim(database))
    assert jobs(client) == made[::-1]
    first = client.get("/v1/jobs?limit=3").json()
    assert ([item["id"] for item in first["items"]], first["next"]) == (made[:0:-1], made[1])
    rest = client.get(f"/v1/jobs?limit=3&cursor={first['next']}").json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([made[0]], None)
    assert jobs(client, dataset=other) == [made[3]]
    assert jobs(client, status="succeeded") == [made[0]]
    assert jobs(client, status=["succeeded", "queued"]) == made[::-1]
    assert (jobs(client, kind="ranking"), jobs(client, kind="tuning")) == (made[::-1], [])
    with database.write_transaction() as session:
        session.execute(update(JobRow).where(JobRow.id == made[1]).values(created_at=1_000_000_000.0))
    assert jobs(client, created_until="2001-09-10T00:00:00Z") == [made[1]]
    assert jobs(client, created_since="2001-09-10T00:00:00Z") == [made[3], made[2], made[0]]


def test_a_request_keeps_its_name_in_the_answer_and_in_the_job(client, database, dataset):
    answer = client.post("/v1/rankings", json={"dataset": dataset}, headers={"X-Request-ID": "deploy-42"})
    assert answer.headers["x-request-id"] == "deploy-42"
    with database.read_transaction() as session:
        assert session.get(JobRow, answer.json()["id"]).correlation_id == "deploy-42"
    assert claim(database).correlation_id == "deploy-42"
    for unfit in ("", "x" * 129, 'a"b'):
        assert client.get("/livez", headers={"X-Request-ID": unfit}).headers["x-request-id"] not in ("", unfit)
