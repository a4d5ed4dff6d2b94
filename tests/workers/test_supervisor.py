"""The supervisor with real runner processes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from benchmarks.service.fleet import write_features
from benchmarks.service.servers import wait_until
from frontrunner.data import DatasetOptions, DatasetReference, check_dataset, open_dataset
from frontrunner.hub import FeatureSets, catalogue_of, find_catalogue
from frontrunner.ranking import RankingRequest, plan
from frontrunner.store import open_store
from jobs import lifecycle
from jobs.kinds.ranking import ranking_job
from jobs.notification import QUEUES, celery_app
from models import DatasetRow, JobRow
from tests.conftest import class_images
from tests.jobs.rows import events_of, steps_of
from workers import supervisor as supervisor_module
from workers.places import Places
from workers.reaper import Reaper
from workers.runner_process import RunnerProcess, credentials_of
from workers.supervisor import Supervisor


@pytest.fixture
def settings(settings, hub):
    """With the hub configured, as where a service runs."""
    return settings.model_copy(update={"hub": (hub,)})


@pytest.fixture
def large(zip_of):
    """Enough images to be in the middle of when something happens."""
    return zip_of(class_images(2, 700, side=16))


def submit(database, settings, path, hub, tenant="default", **more):
    request = RankingRequest(**more)
    dataset = open_dataset(path)
    report = check_dataset(dataset)
    catalogue = catalogue_of([FeatureSets(report)]) if report.feature_sets else find_catalogue(hub, settings)
    planned = plan(request, report, catalogue.checkpoints)
    reference = DatasetReference.of(path, report, DatasetOptions())
    row = DatasetRow(
        id=dataset.id,
        digest=dataset.digest,
        name="d",
        blob="b",
        bytes=1,
        options={},
        report=report.model_dump(mode="json"),
    )
    with database.write_transaction() as session:
        session.merge(row)
        new = ranking_job(request, reference, planned, settings, open_store(settings))
        return lifecycle.submit(session, new, lifecycle.Terms(max_attempts=3, tenant=tenant)).job.id


def runners():
    return [p for p in psutil.Process().children() if "workers.runner" in " ".join(p.cmdline())]


def job_status(database, job_id):
    with database.read_transaction() as session:
        return session.get(JobRow, job_id).status


def test_steps_of_one_job_share_a_runner_and_finish_the_job(database, settings, colours, hub):
    supervisor = Supervisor(database, settings, QUEUES)
    job = submit(database, settings, colours, hub)
    thread = start(supervisor)
    pids = set()
    while thread.is_alive():
        pids |= {runner.pid for runner in runners()}
        time.sleep(0.05)
    assert job_status(database, job) == "succeeded"
    assert len(pids) == 1
    supervisor.stop()
    assert runners() == []


def test_a_runner_is_kept_for_its_tenant_and_never_handed_to_another(database, settings, tmp_path, hub):
    supervisor = Supervisor(database, settings.model_copy(update={"concurrency": 2}), QUEUES)
    path = write_features(tmp_path / "f.npz")
    pids = []
    for tenant, seed in (("a", 1), ("a", 2), ("b", 1)):
        submit(database, settings, path, None, tenant=tenant, seed=seed)
        supervisor.work()
        pids.append({runner.pid for runner in runners()})
    assert pids[0] == pids[1]
    assert len(pids[2] - pids[1]) == 1
    supervisor.stop()


def test_polling_finds_work_that_no_message_told_of(database, settings, tmp_path):
    supervisor = Supervisor(database, settings.model_copy(update={"poll_period_s": 0.1}), QUEUES)
    polling = threading.Thread(target=supervisor.poll)
    polling.start()
    job = submit(database, settings, write_features(tmp_path / "f.npz"), None)
    wait_until(lambda: job_status(database, job) == "succeeded", 120, "the job's end")
    supervisor.stop()
    polling.join(60)
    assert not polling.is_alive()


def test_a_runner_holds_no_database_credentials(database, settings, colours, hub, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_DATABASE_URL", "postgresql://user:secret@db/prod")
    supervisor = Supervisor(database, settings, QUEUES)
    submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    supervisor.work()
    (runner,) = runners()
    environment = runner.environ()
    assert {name for name in environment if name.startswith("FRONTRUNNER_")} == {
        "FRONTRUNNER_HOME", "FRONTRUNNER_STORE_URL", "FRONTRUNNER_STORE_CACHE_BYTES"
    }  # fmt: skip
    assert not [name for name, value in environment.items() if "secret" in value]
    assert "secret" not in " ".join(environment.values())
    assert runner.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    supervisor.stop()


@pytest.mark.parametrize(
    ("store_url", "passed_on"),
    [
        ("", set()),
        ("/somewhere", set()),
        ("file:///somewhere", set()),
        ("s3://bucket", {"AWS_SECRET_ACCESS_KEY"}),
        ("gs://bucket", {"GOOGLE_APPLICATION_CREDENTIALS"}),
        ("abfss://bucket", {"AZURE_STORAGE_ACCOUNT_KEY"}),
    ],
)
def test_a_runner_holds_the_keys_of_its_own_store_alone(settings, monkeypatch, store_url, passed_on):
    keys = {"AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_KEY"}
    for name in keys | {"FRONTRUNNER_SECRET_KEY", "FRONTRUNNER_BROKER_URL"}:
        monkeypatch.setenv(name, "a" * 40)
    runner_settings = settings.model_copy(update={"store_url": store_url})
    runner = RunnerProcess(runner_settings, Places(runner_settings.work / "scratch"))
    try:
        environment = psutil.Process(runner.pid).environ()
    finally:
        runner.kill()
    assert not keys & set(environment), "told, and not inherited"
    assert keys & set(credentials_of(runner_settings)) == passed_on
    assert not {"FRONTRUNNER_SECRET_KEY", "FRONTRUNNER_BROKER_URL"} & set(environment)


def test_the_confined_half_ends_with_its_runner_whatever_it_does(settings):
    runner = RunnerProcess(settings, Places(settings.work / "scratch"))
    try:
        outer = psutil.Process(runner.pid)
        wait_until(lambda: [half for half in outer.children() if "workers.confined" in half.cmdline()], 60, "it")
        (half,) = outer.children()
        half.suspend()  # it does not notice that the other half hangs up, as one that computes in a loop
        runner._process.stdin.close()
        wait_until(lambda: not half.is_running() or half.status() == psutil.STATUS_ZOMBIE, 60, "its end")
    finally:
        runner.kill()


def test_the_supervisor_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, workers.app, workers.supervisor, workers.reaper; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_runner_loads_no_tables_and_no_database_driver():
    import subprocess
    import sys

    code = "import sys, workers.runner; assert not {'sqlalchemy', 'psycopg', 'celery', 'models'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def start(supervisor):
    thread = threading.Thread(target=supervisor.work)
    thread.start()
    return thread


def test_a_killed_runner_costs_one_attempt_and_no_shard(database, settings, large, hub):
    supervisor = Supervisor(database, settings, QUEUES)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    thread = start(supervisor)
    wait_until(lambda: steps_of(database, job)[0].examples_done >= 300, 300, "the first shard")
    os.kill(runners()[0].pid, signal.SIGKILL)
    thread.join(300)
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("succeeded", 2)
    assert json.loads(step.output)["forward_examples"] <= 1400 - 256
    assert json.loads(step.output)["examples"] == 1400
    assert "step.queued" in events_of(database, job)
    supervisor.stop()


def shards_kept(settings):
    return len(list((settings.home / "cache").rglob("*-256.npy")))


def test_stopping_keeps_the_shard_in_hand_and_hands_the_step_back_uncharged(database, settings, large, hub):
    supervisor = Supervisor(database, settings, QUEUES)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    thread = start(supervisor)
    wait_until(lambda: steps_of(database, job)[0].examples_done > 0, 300, "progress")
    in_hand = steps_of(database, job)[0].examples_done
    supervisor.stop()
    thread.join(120)
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 0)
    kept = 256 * shards_kept(settings)
    assert kept >= in_hand
    wait_until(lambda: not runners(), what="the runner's end")
    another = Supervisor(database, settings, QUEUES)
    another.work()
    another.stop()
    assert json.loads(steps_of(database, job)[0].output)["forward_examples"] == 1400 - kept


def test_stopping_twice_hands_the_step_back_at_once(database, settings, large, hub):
    supervisor = Supervisor(database, settings, QUEUES)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    thread = start(supervisor)
    wait_until(lambda: steps_of(database, job)[0].examples_done > 0, 300, "progress")
    supervisor.stop()
    supervisor.stop()
    thread.join(20)  # the shard in hand would be given 30 s
    assert not thread.is_alive()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 0)
    assert runners() == []


def test_stopping_waits_for_no_runner_that_still_loads(database, settings, colours, hub, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    slow = "import sys, time\nif 'workers.confined' in sys.orig_argv: time.sleep(600)\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    supervisor = Supervisor(database, settings.model_copy(update={"stop_grace_s": 300}), QUEUES)
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    thread = start(supervisor)
    wait_until(runners, 60, "the runner")
    supervisor.stop()
    thread.join(60)
    assert not thread.is_alive()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 0)
    assert runners() == []


def test_a_step_that_its_worker_cannot_begin_waits_for_no_lease(database, settings, colours, hub, monkeypatch):
    def fail(*_arguments):
        raise PermissionError("nobody foresaw this")

    monkeypatch.setattr(supervisor_module, "StepNeeds", fail)
    held = settings.model_copy(update={"lease_s": 3600.0, "retry_delay_s": 0.0})
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    Supervisor(database, held, QUEUES).work()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt, step.error_code) == ("lost", 3, "internal_error")
    assert "nobody foresaw this" not in step.error_reason


def test_what_a_runner_cannot_write_is_not_the_inputs_fault(database, settings, colours, hub):
    """It is tried again, and then given up as lost."""
    (settings.home / "cache").symlink_to("/dev/full")
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    Supervisor(database, settings, QUEUES).work()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt, step.error_code) == ("lost", 3, "internal_error")
    assert job_status(database, job) == "lost"


def test_cancelling_kills_the_runner_in_the_middle_of_its_step(database, settings, large, hub):
    supervisor = Supervisor(database, settings, QUEUES)
    job = submit(database, settings, large, hub, checkpoints=("local:vit",))
    thread = start(supervisor)
    wait_until(lambda: steps_of(database, job)[0].examples_done > 0, 300, "progress")
    with database.write_transaction() as session:
        lifecycle.cancel_job(session, job)
    wait_until(lambda: job_status(database, job) == "cancelled", 60, "the cancellation")
    (step,) = steps_of(database, job)
    assert (step.status, step.examples_done < 1400) == ("cancelled", True)
    thread.join(120)
    assert runners() == []


def test_too_much_time_or_memory_fails_the_step_only(database, settings, colours, hub):
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    Supervisor(database, settings.model_copy(update={"step_timeout_s": 0.01}), QUEUES).work()
    assert steps_of(database, job)[0].error_code == "step_timed_out"
    job = submit(database, settings, colours, hub, checkpoints=("local:vit",))
    Supervisor(database, settings.model_copy(update={"step_memory_bytes": 1_000_000}), QUEUES).work()
    assert steps_of(database, job)[0].error_code == "step_out_of_memory"


def test_the_reaper_requeues_what_a_lost_worker_held(database, settings, colours, hub):
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    (step,) = steps_of(database, job)
    with database.write_transaction() as session:
        lifecycle.claim_best(session, QUEUES, -1.0)
    app = celery_app(settings)
    Reaper(database, app, settings, "worker-1").run_once()
    (step,) = steps_of(database, job)
    assert (step.status, step.attempt) == ("queued", 1)
    assert len(list(settings.messages.glob("*.cpu.msg"))) == 1


def test_after_an_outage_the_living_get_a_lease_to_beat_before_steps_are_taken_from_them(database, settings, tmp_path):
    reaper = Reaper(database, celery_app(settings), settings, "worker-1")
    job = submit(database, settings, write_features(tmp_path / "f.npz"), None)
    with database.write_transaction() as session:
        lifecycle.claim_best(session, QUEUES, -1.0)
    stopping = threading.Event()
    looked = []

    def run_once() -> None:
        looked.append(1)
        if len(looked) == 1:
            raise OperationalError("the database is away", None, Exception())
        Reaper.run_once(reaper)
        stopping.set()

    reaper.run_once = run_once
    reaper.run(stopping)
    assert (len(looked), steps_of(database, job)[0].status) == (2, "running")


def test_one_worker_at_a_time_is_the_reaper(database, settings, colours, hub):
    app = celery_app(settings)
    one, two = (Reaper(database, app, settings, name) for name in ("worker-1", "worker-2"))
    one.run_once()
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    with database.write_transaction() as session:
        lifecycle.claim_best(session, QUEUES, -1.0)
    two.run_once()
    assert steps_of(database, job)[0].status == "running"
    one.run_once()
    assert steps_of(database, job)[0].status == "queued"
