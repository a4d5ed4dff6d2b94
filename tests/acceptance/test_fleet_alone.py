"""Jobs on PostgreSQL and Redis with processes of their own: wrong clocks, poison, full disks, orders to stop."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.service.fleet import fleet, write_features
from benchmarks.service.servers import wait_until
from frontrunner.demo import write_digits
from tests.acceptance.rankings import is_right

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]


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
        wait_until(lambda: service.workers_seen() == 2, 180, "both workers")
        job = service.rank(service.upload(features))
        service.wait(job)
        is_right(service, job, expected)
        assert {step.attempt for step in service.steps(job)} == {1}
        assert not [label for name, label in service.counters() if name == "attempts_lost"]


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

        wait_until(poison, 180, "the end of the poisoned step")
        service.wait(job)
        poisoned, healthy = (
            next(step for step in service.steps(job) if step.name == name)
            for name in ("local:resnet", "local:mobilenet")
        )
        assert (poisoned.status, poisoned.error_code, poisoned.attempt) == ("lost", "runner_crashed", 3)
        assert (healthy.status, service.job(job).status) == ("succeeded", "succeeded")
        assert [(s["checkpoint"], s["code"]) for s in json.loads(service.job(job).result)["skipped"]] == [
            ("local:resnet", "runner_crashed")
        ]


def shards(service):
    return len(list((service.home / "cache").rglob("*-256.npy")))


def test_sigterm_keeps_the_shard_in_hand_and_hands_the_step_over(postgres, redis, tmp_path, hub, digits):
    with fleet(postgres, redis, tmp_path / "home", hub) as service:
        service.start_api()
        worker = service.start_worker()
        job = service.rank(service.upload(digits), checkpoints=["local:vit"], max_examples=800)
        wait_until(lambda: service.steps(job)[0].examples_done > 0, 180, "progress")
        worker.terminate()
        assert worker.wait(90) == 0
        kept = shards(service)
        (step,) = service.steps(job)
        assert (step.status, step.attempt, step.lease_token) == ("queued", 0, None)
        assert kept >= 1
        service.start_worker()
        service.wait(job)
        (step,) = service.steps(job)
        assert (step.attempt, json.loads(step.output)["forward_examples"]) == (1, 800 - 256 * kept)


def test_a_second_sigterm_ends_a_worker_at_once(postgres, redis, tmp_path, hub, digits):
    with fleet(postgres, redis, tmp_path / "home", hub) as service:
        service.start_api()
        worker = service.start_worker()
        job = service.rank(service.upload(digits), checkpoints=["local:vit"], max_examples=800)
        wait_until(lambda: service.steps(job)[0].examples_done > 0, 180, "progress")
        worker.terminate()
        time.sleep(0.1)
        worker.terminate()
        assert worker.wait(25) == 0  # the shard in hand would be given 30 s
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
        wait_until(lambda: ("attempts_lost", "disk_full") in service.counters(), 180, "a lost attempt")
        psutil.Process(worker.pid).rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        service.wait(job)
        (step,) = service.steps(job)
        assert (step.status, json.loads(step.output)["examples"]) == ("succeeded", 600)
        assert step.attempt > 1
