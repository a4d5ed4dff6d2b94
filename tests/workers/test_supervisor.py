"""The supervisor with real runner processes."""

from __future__ import annotations

import os
import signal
import threading

import psutil
import pytest

import migrations
from frontrunner.data import DatasetOptions, check_dataset, open_dataset
from frontrunner.doorbell import celery_app
from frontrunner.hub import find_checkpoints
from frontrunner.ranking import DatasetReference, RankingRequest, StepOrder, plan
from frontrunner.settings import Settings
from models import Database, DatasetRow, JobRow, lifecycle
from tests.conftest import class_images
from tests.models.material import steps_of
from tests.servers import wait_until
from workers.reaper import Reaper
from workers.supervisor import Supervisor


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False, heartbeat_s=0.1, lease_s=5.0, reaper_period_s=0.2)


@pytest.fixture
def database(settings):
    settings.home.mkdir()
    database = Database(settings.resolved_database_url)
    migrations.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def large(zip_of):
    """Enough images to be in the middle of when something happens."""
    return zip_of(class_images(2, 700, side=16))


def submit(database, settings, path, hub, **more):
    request = RankingRequest(**more)
    dataset = open_dataset(path)
    report = check_dataset(dataset)
    planned = plan(request, report, find_checkpoints([hub], packages=False).checkpoints)
    reference = DatasetReference.of(path, report, DatasetOptions())
    orders = [
        StepOrder(
            dataset=reference, checkpoint=c, scores=request.scores, max_examples=5000, seed=0, cache=settings.cache
        )
        for c in planned.steps
    ]
    row = DatasetRow(
        id=dataset.id,
        digest=dataset.digest,
        name="d",
        blob="b",
        bytes=1,
        options={},
        report=report.model_dump(mode="json"),
    )
    with database.writing() as session:
        row = session.merge(row)
        return lifecycle.submit_ranking(
            session,
            row,
            request,
            planned,
            orders,
            train_examples=report.train_examples,
            max_attempts=3,
            first_ring_s=0.0,
        ).id


def runners():
    return [p for p in psutil.Process().children() if "workers.runner" in " ".join(p.cmdline())]


def job_status(database, job_id):
    with database.reading() as session:
        return session.get(JobRow, job_id).status


def test_steps_of_one_job_share_a_runner_and_finish_the_job(database, settings, colours, hub):
    supervisor = Supervisor(database, settings)
    job = submit(database, settings, colours, hub)
    pids = set()
    for step in steps_of(database, job):
        supervisor.run_step(step.id)
        pids |= {runner.pid for runner in runners()}
    assert job_status(database, job) == "succeeded"
    assert len(pids) == 1
    supervisor.stop()
    assert runners() == []


def test_a_runner_holds_no_database_credentials(database, settings, colours, hub, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_DATABASE_URL", "postgresql://user:secret@db/prod")
    supervisor = Supervisor(database, settings)
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    supervisor.run_step(steps_of(database, job)[0].id)
    (runner,) = runners()
    environment = runner.environ()
    assert not [name for name in environment if name.startswith("FRONTRUNNER_")]
    assert "secret" not in " ".join(environment.values())
    supervisor.stop()


def test_the_supervisor_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, workers.app, workers.supervisor, workers.reaper; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def start(supervisor, step_id):
    thread = threading.Thread(target=supervisor.run_step, args=(step_id,))
    thread.start()
    return thread


def test_a_killed_runner_costs_one_attempt_and_no_shard(database, settings, large, hub):
    supervisor = Supervisor(database, settings)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    (step,) = steps_of(database, job)
    thread = start(supervisor, step.id)
    wait_until(lambda: steps_of(database, job)[0].examples_done >= 300, 120, "the first shard")
    os.kill(runners()[0].pid, signal.SIGKILL)
    thread.join(20)
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 1)
    supervisor.run_step(step.id)
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("succeeded", 2)
    assert step.output["forward_examples"] <= 1400 - 256
    assert step.output["examples"] == 1400
    supervisor.stop()


def test_stopping_hands_the_step_back_uncharged_and_leaves_no_runner(database, settings, large, hub):
    supervisor = Supervisor(database, settings)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    (step,) = steps_of(database, job)
    thread = start(supervisor, step.id)
    wait_until(lambda: steps_of(database, job)[0].examples_done > 0, 120, "progress")
    supervisor.stop()
    thread.join(20)
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 0)
    wait_until(lambda: not runners(), what="the runner's end")


def test_cancelling_kills_the_runner_within_two_seconds(database, settings, large, hub):
    import time

    supervisor = Supervisor(database, settings)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    (step,) = steps_of(database, job)
    thread = start(supervisor, step.id)
    wait_until(lambda: steps_of(database, job)[0].examples_done > 0, 120, "progress")
    asked = time.monotonic()
    with database.writing() as session:
        lifecycle.cancel_job(session, job)
    wait_until(lambda: job_status(database, job) == "cancelled", 10, "the cancellation")
    assert time.monotonic() - asked < 2.0
    thread.join(20)
    assert runners() == []


def test_too_much_time_or_memory_fails_the_step_only(database, settings, colours, hub):
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    (step,) = steps_of(database, job)
    Supervisor(database, settings.model_copy(update={"step_timeout_s": 0.01})).run_step(step.id)
    assert steps_of(database, job)[0].error_code == "step_timed_out"
    job = submit(database, settings, colours, hub, checkpoints=("local:vit",))
    (step,) = steps_of(database, job)
    Supervisor(database, settings.model_copy(update={"step_memory_bytes": 1_000_000})).run_step(step.id)
    assert steps_of(database, job)[0].error_code == "step_out_of_memory"


def test_the_reaper_requeues_what_a_lost_worker_held(database, settings, colours, hub):
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    (step,) = steps_of(database, job)
    with database.writing() as session:
        lifecycle.claim_step(session, step.id, -1.0)
    app = celery_app(settings)
    Reaper(database, app, settings, "worker-1").look()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 1)
    assert len(list(settings.messages.glob("*.cpu.msg"))) == 1


def test_one_worker_at_a_time_is_the_reaper(database, settings, colours, hub):
    app = celery_app(settings)
    one, two = (Reaper(database, app, settings, name) for name in ("worker-1", "worker-2"))
    one.look()
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    with database.writing() as session:
        lifecycle.claim_step(session, steps_of(database, job)[0].id, -1.0)
    two.look()
    assert steps_of(database, job)[0].status == "running"
    one.look()
    assert steps_of(database, job)[0].status == "queued"
