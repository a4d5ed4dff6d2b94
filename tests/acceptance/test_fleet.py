"""Jobs on PostgreSQL and Redis with real processes, while everything is killed, stopped, lost or doubled.

After each: no job stuck, no result lost or doubled, no accepted work done again.
"""

from __future__ import annotations

import itertools
import signal
import threading
import time

import psutil
import pytest
from kombu import Connection

from benchmarks.service.fleet import LEASE_S, REAPER_S, SETS, fleet, write_features
from benchmarks.service.servers import wait_until
from frontrunner.client import Client
from frontrunner.settings import Settings
from jobs.notification import LOOK_FOR_WORK, celery_app, notify_workers
from tests.acceptance.rankings import is_right

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]


@pytest.fixture(scope="module")
def service(postgres, redis, tmp_path_factory):
    """An API process and two workers, shared by the tests that leave them as they were."""
    with fleet(postgres, redis, tmp_path_factory.mktemp("shared") / "home") as running:
        running.start_api()
        running.workers = [running.start_worker(), running.start_worker()]
        yield running


@pytest.fixture
def dataset(service, features):
    return service.upload(features)


def accepted(service):
    """Outputs that were ever accepted, of all jobs."""
    return service.counters().get(("steps", "ranking:succeeded"), 0)


def some_steps_done(service, job_id, at_least=2):
    return SETS - service.job(job_id).steps_left >= at_least


def test_a_killed_worker_costs_the_job_a_lease_and_nothing_else(service, dataset, expected):
    before = accepted(service)
    job = service.rank(dataset, seed=1)
    wait_until(lambda: some_steps_done(service, job), 60, "some steps")
    victim = next(w for w in service.workers if _children(w))
    for worker in service.workers:
        worker.kill()
        worker.wait()
    assert service.job(job).steps_left > 0
    killed = time.monotonic()
    service.workers = [service.start_worker(), service.start_worker()]
    service.wait(job)
    assert time.monotonic() - killed < LEASE_S + REAPER_S + 100, "lease, reaper, and two workers' start"
    is_right(service, job, expected)
    assert accepted(service) - before == SETS
    assert not _children(victim)


def _children(process):
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def test_a_killed_runner_costs_one_attempt(service, dataset, expected):
    before = accepted(service)
    job = service.rank(dataset, seed=2)
    wait_until(lambda: some_steps_done(service, job, 1), 60, "a step")
    victims = service.runners()
    for runner in victims:
        runner.kill()
    assert victims
    assert service.job(job).steps_left > 0
    service.wait(job)
    is_right(service, job, expected)
    assert accepted(service) - before == SETS


def test_a_killed_api_loses_no_job_and_a_client_sits_it_out(service, dataset, expected):
    job = service.rank(dataset, seed=3)
    waited = []
    with Client(f"http://127.0.0.1:{service.port}") as client:
        waiting = threading.Thread(target=lambda: waited.append(client.wait(job, timeout_s=300)))
        waiting.start()
        api = next(p for p in service.processes if p.poll() is None and "--api-only" in p.args)
        api.kill()
        api.wait()
        service.start_api()
        waiting.join(300)
    assert waited[0]["status"] == "succeeded"
    is_right(service, job, expected)


def test_without_redis_jobs_are_accepted_and_done_and_with_it_again_at_once(service, dataset, expected):
    service.redis.stop(signal.SIGKILL)
    try:
        assert service.get("/readyz").json()["broker"].startswith("unreachable")
        job = service.rank(dataset, seed=4)
        service.wait(job)
        is_right(service, job, expected)
    finally:
        service.redis.start()
    job = service.rank(dataset, seed=5)
    service.wait(job)
    is_right(service, job, expected)


def test_messages_that_are_lost_do_no_harm(service, dataset, expected):
    for worker in service.workers:
        worker.send_signal(signal.SIGSTOP)
    job = service.rank(dataset, seed=6)
    with Connection(service.redis.url) as connection:
        connection.default_channel.client.flushall()
    for worker in service.workers:
        worker.send_signal(signal.SIGCONT)
    service.wait(job)
    is_right(service, job, expected)


def test_messages_that_come_ten_times_do_no_step_twice(service, dataset, expected):
    before = accepted(service)
    job = service.rank(dataset, seed=7)
    broker = celery_app(Settings(broker_url=service.redis.url))
    for _ in range(10):
        notify_workers(broker, ["io"] * SETS)
    service.wait(job)
    is_right(service, job, expected)
    assert {step.attempt for step in service.steps(job)} == {1}
    assert accepted(service) - before == SETS
    assert LOOK_FOR_WORK == "frontrunner.look_for_work"


def test_identical_requests_at_the_same_moment_are_one_job(service, dataset):
    found = []
    threads = [threading.Thread(target=lambda: found.append(service.rank(dataset, seed=12))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.wait(*found)
    assert len(found) == 8
    # A late one may find the first job over already; two at the same time never make two.
    jobs = {job: service.job(job) for job in set(found)}
    spans = sorted((job.created_at, job.finished_at) for job in jobs.values())
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_the_same_data_uploaded_at_once_is_one_dataset(service, tmp_path):
    path = write_features(tmp_path / "same.npz", sets=1, seed=77)
    found = []
    threads = [threading.Thread(target=lambda: found.append(service.upload(path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_workers_that_race_for_single_steps_do_each_once(service, features, tmp_path):
    dataset = service.upload(write_features(tmp_path / "one.npz", sets=1, seed=1))
    before = accepted(service)
    jobs = [service.rank(dataset, seed=seed) for seed in range(20)]
    service.wait(*jobs)
    steps = [step for job in jobs for step in service.steps(job)]
    assert {(step.status, step.attempt) for step in steps} == {("succeeded", 1)}
    assert accepted(service) - before == 20


def test_postgresql_may_restart_under_a_job(service, dataset, expected):
    before = accepted(service)
    job = service.rank(dataset, seed=8)
    wait_until(lambda: some_steps_done(service, job), 60, "some steps")
    service.postgres.stop(signal.SIGINT)  # at once, without waiting for clients
    assert service.get("/readyz").json()["database"].startswith("unreachable")
    assert service.get("/livez").status_code == 200
    time.sleep(1.0)
    service.postgres.start()
    service.wait(job)
    is_right(service, job, expected)
    assert accepted(service) - before == SETS
    assert {step.status for step in service.steps(job)} == {"succeeded"}


def test_cancelling_ends_a_job_queued_or_running(service, dataset):
    running, queued = service.rank(dataset, seed=9), service.rank(dataset, seed=10)
    wait_until(lambda: service.job(running).status == "running", 60, "the start")
    for job in (queued, running):
        assert service.post(f"/v1/jobs/{job}/cancel").status_code == 202
        wait_until(lambda job=job: service.job(job).finished_at is not None, 60, "the cancellation")
    assert service.job(queued).status == "cancelled"
    assert service.job(running).status in ("cancelled", "succeeded")  # it may have been in its last step


def test_a_request_can_be_followed_into_the_runners_log(service, dataset):
    answer = service.post("/v1/rankings", json={"dataset": dataset, "seed": 11}, headers={"X-Request-ID": "follow-me"})
    service.wait(answer.json()["id"])
    lines = [line for line in service.logs().splitlines() if '"request_id": "follow-me"' in line]
    assert [line for line in lines if '"logger": "frontrunner.runner"' in line]
    assert [line for line in lines if "step_claimed" in line]
