"""Jobs on PostgreSQL and Redis with real processes, while everything is killed, stopped, lost or doubled.

After each: no job stuck, no result lost or doubled, no accepted work done again.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from kombu import Connection

import frontrunner
from frontrunner.client import Client
from frontrunner.demo import write_digits
from frontrunner.doorbell import LOOK_FOR_WORK, celery_app, ring
from frontrunner.settings import Settings
from models import Status
from tests.acceptance.fleet import LEASE_S, REAPER_S, fleet, write_features
from tests.servers import postgres_server, redis_server, wait_until

pytestmark = pytest.mark.acceptance

# Steps of a job: enough that it is under way for a second or two.
SETS = 30


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def service(postgres, redis, tmp_path_factory):
    """An API process and two workers, shared by the tests that leave them as they were."""
    with fleet(postgres, redis, tmp_path_factory.mktemp("shared") / "home") as running:
        running.start_api()
        running.workers = [running.start_worker(), running.start_worker()]
        yield running


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    return write_features(tmp_path_factory.mktemp("features") / "features.npz", SETS)


@pytest.fixture(scope="module")
def expected(features, tmp_path_factory) -> dict[str, float]:
    """What this library ranks the same data as, without any service."""
    ranking = frontrunner.rank(features, settings=Settings(home=tmp_path_factory.mktemp("local"), packages=False))
    return {line.checkpoint: line.scores["logme"].value for line in ranking.ranking}


@pytest.fixture
def dataset(service, features):
    return service.upload(features)


def is_right(service, job_id, expected):
    """Each checkpoint has one line, with the value that a local ranking gives it."""
    job = service.job(job_id)
    assert job.status == Status.SUCCEEDED, (job.error_code, service.logs()[-5000:])
    lines = {line["checkpoint"]: line["scores"]["logme"]["value"] for line in job.result["ranking"]}
    assert lines == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}
    assert len(job.result["ranking"]) == len(expected)


def accepted(service):
    """Outputs that were ever accepted, of all jobs."""
    return service.tallies().get(("steps", "ranking:succeeded"), 0)


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
    assert time.monotonic() - killed < LEASE_S + REAPER_S + 25, "lease, reaper, and two workers' start"
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
        waiting = threading.Thread(target=lambda: waited.append(client.wait(job, timeout_s=60)))
        waiting.start()
        api = next(p for p in service.processes if p.poll() is None and "uvicorn" in " ".join(p.args))
        api.kill()
        api.wait()
        service.start_api()
        waiting.join(60)
    assert waited[0]["status"] == "succeeded"
    is_right(service, job, expected)


def test_without_redis_jobs_are_accepted_and_done_and_with_it_again_at_once(service, dataset, expected):
    service.redis.stop(signal.SIGKILL)
    try:
        assert service.get("/readyz").json()["broker"].startswith("unreachable")
        job = service.rank(dataset, seed=4)
        service.wait(job, timeout_s=30)
        is_right(service, job, expected)
    finally:
        service.redis.start()
    job = service.rank(dataset, seed=5)
    service.wait(job, timeout_s=30)
    is_right(service, job, expected)


def test_messages_that_are_lost_do_no_harm(service, dataset, expected):
    for worker in service.workers:
        worker.send_signal(signal.SIGSTOP)
    job = service.rank(dataset, seed=6)
    with Connection(service.redis.url) as connection:
        connection.default_channel.client.flushall()
    for worker in service.workers:
        worker.send_signal(signal.SIGCONT)
    service.wait(job, timeout_s=30)
    is_right(service, job, expected)


def test_messages_that_come_ten_times_do_no_step_twice(service, dataset, expected):
    before = accepted(service)
    job = service.rank(dataset, seed=7)
    bell = celery_app(Settings(broker_url=service.redis.url))
    for _ in range(10):
        ring(bell, ["io"] * SETS)
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


def test_cancelling_takes_less_than_two_seconds_queued_or_running(service, dataset):
    running, queued = service.rank(dataset, seed=9), service.rank(dataset, seed=10)
    wait_until(lambda: service.job(running).status == "running", 30, "the start")
    for job in (queued, running):
        asked = time.monotonic()
        assert service.post(f"/v1/jobs/{job}/cancel").status_code == 202
        wait_until(lambda job=job: service.job(job).finished_at is not None, 10, "the cancellation")
        assert time.monotonic() - asked < 2.0
        assert service.job(job).status in ("cancelled", "succeeded")


def test_a_request_can_be_followed_into_the_runners_log(service, dataset):
    answer = service.post("/v1/rankings", json={"dataset": dataset, "seed": 11}, headers={"X-Request-ID": "follow-me"})
    service.wait(answer.json()["id"])
    lines = [line for line in service.logs().splitlines() if '"request_id": "follow-me"' in line]
    assert [line for line in lines if '"logger": "frontrunner.runner"' in line]
    assert [line for line in lines if "step_claimed" in line]


# From here on, tests whose processes are their own.


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


WRONG_CLOCK = """
import sys, time
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + {days} * 86400
time.time_ns = lambda: real_ns() + {days} * 86400 * 10**9
from frontrunner.cli import main
sys.argv = ["frontrunner", "worker"]
main()
"""


def test_workers_whose_clocks_are_wrong_by_a_day_neither_steal_nor_lose_steps(
    postgres, redis, tmp_path, features, expected
):
    with fleet(postgres, redis, tmp_path / "home") as service:
        service.start_api()
        for days in (1, -1):
            service.start(sys.executable, "-c", WRONG_CLOCK.format(days=days))
        wait_until(lambda: service.workers_seen() == 2, 60, "both workers")
        job = service.rank(service.upload(features))
        service.wait(job)
        is_right(service, job, expected)
        assert {step.attempt for step in service.steps(job)} == {1}
        assert not [label for name, label in service.tallies() if name == "attempts_lost"]


def test_a_step_that_kills_its_runner_is_lost_and_the_rest_of_its_job_is_not(postgres, redis, tmp_path, hub, colours):
    with fleet(postgres, redis, tmp_path / "home", hub) as service:
        service.start_api()
        service.start_worker()
        job = service.rank(service.upload(colours), checkpoints=["local:resnet", "local:mobilenet"])

        def poison() -> bool:
            """Kill whatever works on one checkpoint, as a model that brings down its process would."""
            steps = {step.name: step for step in service.steps(job)}
            if steps["local:resnet"].status == "running":
                for runner in service.runners():
                    runner.kill()
            return steps["local:resnet"].finished_at is not None

        wait_until(poison, 90, "the end of the poisoned step")
        service.wait(job)
        poisoned, healthy = (
            next(step for step in service.steps(job) if step.name == name)
            for name in ("local:resnet", "local:mobilenet")
        )
        assert (poisoned.status, poisoned.error_code, poisoned.attempt) == ("lost", "runner_crashed", 3)
        assert (healthy.status, service.job(job).status) == ("succeeded", "succeeded")
        assert [(s["checkpoint"], s["code"]) for s in service.job(job).result["skipped"]] == [
            ("local:resnet", "runner_crashed")
        ]


def shards(service):
    return len(list((service.home / "cache").rglob("*-256.npy")))


def test_sigterm_keeps_the_shard_in_hand_and_hands_the_step_over(postgres, redis, tmp_path, hub, digits):
    with fleet(postgres, redis, tmp_path / "home", hub) as service:
        service.start_api()
        worker = service.start_worker()
        job = service.rank(service.upload(digits), checkpoints=["local:vit"], max_examples=800)
        wait_until(lambda: service.steps(job)[0].examples_done > 0, 60, "progress")
        worker.terminate()
        assert worker.wait(30) == 0
        kept = shards(service)
        (step,) = service.steps(job)
        assert (step.status, step.attempt, step.lease_token) == ("queued", 0, None)
        assert kept >= 1
        service.start_worker()
        service.wait(job)
        (step,) = service.steps(job)
        assert (step.attempt, step.output["forward_examples"]) == (1, 800 - 256 * kept)


def test_a_second_sigterm_ends_a_worker_at_once(postgres, redis, tmp_path, hub, digits):
    with fleet(postgres, redis, tmp_path / "home", hub) as service:
        service.start_api()
        worker = service.start_worker()
        job = service.rank(service.upload(digits), checkpoints=["local:vit"], max_examples=800)
        wait_until(lambda: service.steps(job)[0].examples_done > 0, 60, "progress")
        worker.terminate()
        time.sleep(0.1)
        worker.terminate()
        assert worker.wait(5) == 0
        (step,) = service.steps(job)
        assert (step.status, step.attempt) == ("queued", 0)


# A disk with room for files of this size: more than any log or module, less than a shard of 256 x 2,048 numbers.
ROOM = 1_500_000


def test_a_full_disk_refuses_an_upload_and_keeps_nothing_of_it(postgres, redis, tmp_path, features):
    large = write_features(tmp_path / "large.npz", examples=600, columns=2048)
    with fleet(postgres, redis, tmp_path / "home") as service:
        service.start_api(limit_bytes=ROOM)
        with large.open("rb") as file:
            answer = service.post("/v1/datasets", files={"file": ("large.npz", file)})
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert [path for path in (service.home / "blobs").rglob("*") if path.is_file()] == []
        service.upload(features)


def test_a_step_that_finds_the_disk_full_is_done_once_there_is_room(postgres, redis, tmp_path):
    large = write_features(tmp_path / "large.npz", examples=600, columns=2048)
    with fleet(postgres, redis, tmp_path / "home", max_attempts=10) as service:
        service.start_api()
        worker = service.start_worker(limit_bytes=ROOM)
        job = service.rank(service.upload(large))
        wait_until(lambda: ("attempts_lost", "disk_full") in service.tallies(), 60, "a lost attempt")
        psutil.Process(worker.pid).rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        service.wait(job)
        (step,) = service.steps(job)
        assert (step.status, step.output["examples"]) == ("succeeded", 600)
        assert step.attempt > 1
