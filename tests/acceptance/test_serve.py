"""The embedded service end to end: real server, real worker, real runners, real data; and everything killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

import frontrunner
from benchmarks.service.servers import wait_until
from frontrunner.client import AsyncClient, Client, ServiceProblem
from frontrunner.demo import write_digits
from frontrunner.errors import EmptyDataset
from tests.acceptance.service import serving

pytestmark = pytest.mark.acceptance

# Of scikit-learn's 1,797 digits: three full shards and a partial one.
EXAMPLES = 1600


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


@pytest.fixture(scope="module")
def service(tmp_path_factory, hub):
    """Shared by the tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("shared") / "home", hub) as service:
        yield service


@pytest.fixture(scope="module")
def local(tmp_path_factory, digits, hub) -> dict:
    """The digits as the command line ranks them, without a service."""
    command = [sys.executable, "-m", "frontrunner.cli", "rank", digits, "--hub", hub, "--json"]
    done = subprocess.run(
        [*command, "--max-examples", str(EXAMPLES)],
        env=os.environ | {"FRONTRUNNER_HOME": str(tmp_path_factory.mktemp("local") / "home")},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def lines(ranking: dict) -> list[tuple]:
    return [
        (e["rank"], e["checkpoint"], pytest.approx(e["scores"]["logme"]["value"], rel=1e-6)) for e in ranking["ranking"]
    ]


def values(ranking: dict) -> list[tuple]:
    return [(e["rank"], e["checkpoint"], e["scores"]["logme"]["value"]) for e in ranking["ranking"]]


def test_a_posted_dataset_is_ranked_as_by_the_command_line(service, digits, local):
    job = service.recommend(digits, max_examples=EXAMPLES)
    assert service.wait(job)["status"] == "succeeded"
    served = service.ranking(job)
    assert values(served) == lines(local)
    assert len(served["ranking"]) == 3
    assert {e["examples"] for e in served["ranking"]} == {EXAMPLES}
    assert served.keys() == local.keys()

    again = service.recommend(digits, max_examples=EXAMPLES)
    service.wait(again)
    assert [e["forward_examples"] for e in service.ranking(again)["ranking"]] == [0, 0, 0]


def test_the_python_client_ranks_and_raises_what_the_service_refuses(service, colours, zip_of):
    heard = []
    with Client(service.url) as client:
        ranking = client.recommend(colours).wait(on_job=heard.append)
        assert ranking.status == "succeeded"
        assert heard[-1]["progress"]["steps_done"] == 3
        assert len(client.checkpoints()) == 3
        with pytest.raises(ServiceProblem) as refusal:
            client.recommend(zip_of({"readme.txt": b"no images"}))
        assert refusal.value.problem["code"] == "dataset_empty"
        assert isinstance(refusal.value, EmptyDataset)


def test_the_python_client_takes_folders_and_data_in_memory(service, colours, tmp_path):
    with zipfile.ZipFile(colours) as packed:
        packed.extractall(tmp_path / "flowers")
    values = {}
    with Client(service.url) as client:
        for name, data in (("zip", colours), ("folder", tmp_path / "flowers")):
            ranking = client.recommend(data, scores=["logme"], top=2).wait()
            assert len(ranking.ranking) == 2
            values[name] = {line.checkpoint: line.scores["logme"].value for line in ranking.ranking}
        assert ranking.dataset.name == "flowers.zip"
        labels = np.repeat(["a", "b"], 30)
        features = np.random.default_rng(0).normal(size=(60, 4)) + (labels == "b")[:, None]
        of_arrays = client.recommend((features, labels)).wait()
    assert values["folder"] == pytest.approx(values["zip"], abs=1e-6)
    assert of_arrays.ranking[0].scores["logme"].value == pytest.approx(frontrunner.logme(features, labels))


def test_the_asynchronous_client_does_the_same(service, colours):
    async def ask():
        async with AsyncClient(service.url) as client:
            job = await client.recommend(colours, checkpoints=["local:resnet"])
            heard = [event.type async for event in job.events()]
            return heard, await job.wait(), job.status

    heard, ranking, status = asyncio.run(ask())
    assert (heard[0], heard[-1], status) == ("job.queued", "job.succeeded", "succeeded")
    assert [line.checkpoint for line in ranking.ranking] == ["local:resnet"]


def test_jobs_are_followed_and_told_what_to_do_from_the_command_line(service, colours):
    def jobs(*arguments: str) -> str:
        command = [sys.executable, "-m", "frontrunner.cli", "jobs", *arguments, "--server", service.url]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    job = service.recommend(colours, checkpoints=["local:resnet"])
    told = [line.split("  ")[1] for line in jobs("watch", job).splitlines()]
    assert (told[0], told[-1]) == ("job.queued", "job.succeeded")
    assert job in [entry["id"] for entry in json.loads(jobs("list", "--json", "--status", "succeeded"))]
    assert job not in [entry["id"] for entry in json.loads(jobs("list", "--json", "--status", "failed"))]
    assert json.loads(jobs("show", job))["status"] == "succeeded"
    assert json.loads(jobs("cancel", job))["status"] == "succeeded"
    jobs("delete", job)
    assert job not in [entry["id"] for entry in json.loads(jobs("list", "--json"))]


def test_stopping_cuts_off_whoever_still_watches(tmp_path, hub, digits):
    with serving(tmp_path / "home", hub) as service, Client(service.url) as client:
        job = service.recommend(digits, checkpoints=["local:vit"])
        heard = []

        def watch() -> None:
            with contextlib.suppress(httpx.TransportError):
                heard.extend(client.events(job))

        watching = threading.Thread(target=watch)
        watching.start()
        wait_until(lambda: service.job(job)["status"] == "running", 120, "the start")
        service.process.terminate()
        service.process.wait(90)
        watching.join(60)
    assert not watching.is_alive()
    assert "job.succeeded" not in [event.type for event in heard]


def in_the_middle(service, job: str) -> bool:
    """The step in hand has kept a shard and is far from its end."""
    progress = service.job(job)["progress"]
    in_hand = progress["examples_done"] - EXAMPLES * progress["steps_done"]
    return 300 <= in_hand <= EXAMPLES - 400


@pytest.mark.parametrize("victim", ["workers.runner", "frontrunner.cli worker"])
def test_a_job_survives_kill_minus_nine(digits, local, hub, tmp_path, victim):
    with serving(tmp_path / "home", hub) as service:
        job = service.recommend(digits, max_examples=EXAMPLES)
        wait_until(lambda: in_the_middle(service, job), 300, "progress")
        service.kill(victim)
        assert service.wait(job)["status"] == "succeeded"
        assert values(service.ranking(job)) == lines(local)
        # What was accepted before the kill was not computed again.
        assert sum(e["forward_examples"] for e in service.ranking(job)["ranking"]) <= 3 * EXAMPLES - 256
        wait_until(lambda: len(service.processes("workers.runner")) <= 1, 60, "the end of orphaned runners")


def test_a_job_survives_the_whole_service(tmp_path, digits, hub):
    home = tmp_path / "home"
    with serving(home, hub) as service:
        job = service.recommend(digits, max_examples=EXAMPLES)
        wait_until(lambda: in_the_middle(service, job), 300, "progress")
        children = service.processes("frontrunner") + service.processes("workers.runner")
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(child.is_running() for child in children), 60, "the end of every child")
    with serving(home, hub) as service:
        assert service.wait(job)["status"] == "succeeded"
        assert len(service.ranking(job)["ranking"]) == 3


def test_a_lost_message_only_delays(service, colours):
    """Messages only notify: with every one of them deleted, workers find the steps by polling."""
    (worker,) = service.processes("frontrunner.cli worker")
    worker.send_signal(signal.SIGSTOP)
    job = service.recommend(colours, seed=1)
    messages = list((service.log.parent / "home" / "messages").glob("*.msg"))
    assert messages
    for message in messages:
        message.unlink()
    worker.send_signal(signal.SIGCONT)
    assert service.wait(job)["status"] == "succeeded"
