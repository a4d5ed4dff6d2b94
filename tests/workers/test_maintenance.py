"""What is removed, and what never is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import update

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.extraction import FEATURES, FeatureKey
from frontrunner.tuning import TuningRequest, tuning_payload
from jobs import lifecycle
from jobs.kinds.tuning import tuning_job
from jobs.lifecycle import IdempotencyKey
from models import DatasetRow, FeatureRow, IdempotencyRow, JobRow
from tests.jobs.rows import DIGEST, REPORT, apply, claim, description, job_row, new_job, output, submit
from workers.maintenance import ORPHAN_AGE_S, Maintenance

OTHER = "e" * 64


def run_once(database, settings, **more):
    return Maintenance(database, settings.model_copy(update=more), "test").run_once()


def finish_a_job(database, seed=0):
    job = submit(database, names=("a",), seed=seed)
    apply(database, lifecycle.succeed_step, claim(database), output(0.5))
    return job


def age(database, job, days):
    with database.write_transaction() as session:
        session.execute(update(JobRow).where(JobRow.id == job).values(finished_at=database.now() - 86400 * days))


def test_old_jobs_are_removed_and_only_those_that_are_over(database, settings):
    old, young, waiting = finish_a_job(database), finish_a_job(database), submit(database, names=("a",))
    age(database, old, 91)
    age(database, young, 89)
    age(database, waiting, 91)
    assert run_once(database, settings, job_retention_s=0).jobs == 0
    assert run_once(database, settings).jobs == 1
    assert [job_row(database, job) is None for job in (old, young, waiting)] == [True, False, False]


def test_the_files_of_a_tuning_go_with_the_last_job_that_makes_them(database, settings, tmp_path):
    new_job(database)  # writes the dataset
    reference = DatasetReference.of(Path("/data"), REPORT, DatasetOptions())
    jobs, folders = [], []
    for seed in (0, 0, 1):
        request = TuningRequest(student="local:a", seed=seed)
        work = tuning_payload(request, reference, {"local:a": description("a")})
        folders.append((settings.work / work.name, settings.home / "artifacts" / work.name))
        for folder in folders[-1]:
            put(folder / "xx" / "tuned.safetensors", 60)
        with database.write_transaction() as session:
            submitted = tuning_job(work, "ds_" + DIGEST[:32], 100, "cpu")
            jobs.append(lifecycle.submit(session, submitted, lifecycle.Terms(max_attempts=1)).job.id)
        with database.write_transaction() as session:
            session.execute(update(JobRow).where(JobRow.id == jobs[-1]).values(status="succeeded"))
    age(database, jobs[0], 91)
    age(database, jobs[2], 91)
    assert run_once(database, settings).jobs == 2
    assert [(work.exists(), made.exists()) for work, made in folders] == [(True, True), (True, True), (False, False)]
    age(database, jobs[1], 91)
    assert run_once(database, settings).jobs == 1
    assert [folder.exists() for folder in folders[1]] == [False, False]


def test_expired_keys_are_removed(database, settings):
    submit(database, idempotency=IdempotencyKey("old", "d", kept_s=-1.0))
    submit(database, seed=1, idempotency=IdempotencyKey("new", "d", kept_s=60.0))
    assert run_once(database, settings).idempotency_keys == 1
    with database.read_transaction() as session:
        assert [row.key for row in session.query(IdempotencyRow)] == ["new"]


def cache_features(database, settings, key, digest, used_at, size=1000):
    folder = settings.home / FeatureKey.parse(key).prefix
    folder.mkdir(parents=True)
    (folder / "00000-1.npy").write_bytes(b"x" * size)
    with database.write_transaction() as session:
        session.add(
            FeatureRow(
                key=key,
                checkpoint_digest="c",
                dataset_digest=digest,
                examples=1,
                dimension=1,
                bytes=size,
                last_used_at=used_at,
            )
        )
    return folder


def test_the_least_recently_used_features_are_evicted_until_the_rest_fits(database, settings):
    folders = [cache_features(database, settings, name * 64, OTHER, used_at=at) for name, at in
               (("a", 30.0), ("b", 10.0), ("c", 20.0))]  # fmt: skip
    removed = run_once(database, settings, cache_max_bytes=1500)
    assert (removed.features, removed.feature_bytes) == (2, 2000)
    assert [folder.exists() for folder in folders] == [True, False, False]
    with database.read_transaction() as session:
        assert [row.key for row in session.query(FeatureRow)] == ["a" * 64]


def test_what_a_job_uses_is_never_evicted(database, settings):
    folder = cache_features(database, settings, "a" * 64, DIGEST, used_at=1.0)
    job = submit(database, names=("a",))
    assert run_once(database, settings, cache_max_bytes=1).features == 0
    claim(database)
    assert run_once(database, settings, cache_max_bytes=1).features == 0
    apply(database, lifecycle.cancel_job, job)
    assert job_row(database, job).status == "cancelling"
    assert run_once(database, settings, cache_max_bytes=1).features == 0
    assert folder.exists()
    other = cache_features(database, settings, "b" * 64, OTHER, used_at=2.0)
    assert run_once(database, settings, cache_max_bytes=1).features == 1
    assert (folder.exists(), other.exists()) == (True, False)


def put(path, age_s):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    for part in (path, path.parent):
        os.utime(part, (time.time() - age_s,) * 2)
    return path


def test_files_that_no_row_names_are_removed_once_they_are_old(database, settings):
    finish_a_job(database)
    old = ORPHAN_AGE_S + 60
    with database.write_transaction() as session:
        session.execute(update(DatasetRow).values(blob="aa11"))
    kept = cache_features(database, settings, "a" * 64, DIGEST, used_at=1.0)
    put(kept / "00000-1.npy", old)
    named = put(settings.home / "blobs" / "aa" / "aa11", old)
    young = put(settings.home / "blobs" / "bb" / "bb22", 60)
    source = put(settings.home / "sources" / "ab" / "abcd", old)
    gone = [
        put(settings.home / "blobs" / "cc" / "cc33", old),
        put(settings.home / "blobs" / ".dd.partial", old),
        put(settings.messages / "1.taken", old),
        put(settings.home / FEATURES / "ee" / "ee44" / "00000-1.npy", old),
        put(settings.home / "artifacts" / "0123" / "ff" / "ff55", old),
        put(settings.work / "0123" / "state.pt", old),
    ]
    assert run_once(database, settings).orphans == len(gone)
    assert (named.exists(), young.exists(), [path.exists() for path in gone]) == (True, True, [False] * 6)
    assert (source.exists(), kept.exists()) == (True, True)


def test_shards_of_a_job_that_is_not_over_are_no_orphans(database, settings):
    job = submit(database, names=("a",))
    with database.write_transaction() as session:
        session.execute(update(JobRow).values(created_at=database.now() - 10 * ORPHAN_AGE_S))
    shard = put(settings.home / FEATURES / "ee" / "ee44" / "00000-1.npy", 2 * ORPHAN_AGE_S)
    assert run_once(database, settings).orphans == 0
    apply(database, lifecycle.cancel_job, job)
    assert run_once(database, settings).orphans == 1
    assert not shard.exists()


def test_pixels_of_datasets_that_are_gone_are_removed_at_once(database, settings):
    finish_a_job(database)
    kept, gone = (put(settings.home / "hub" / "pixels" / digest / "0.pack", 0) for digest in (DIGEST, OTHER))
    assert run_once(database, settings).orphans == 1
    assert (kept.exists(), gone.exists()) == (True, False)


def test_maintenance_can_be_asked_for_on_the_command_line(database, settings):
    age(database, finish_a_job(database), 91)
    command = [sys.executable, "-m", "frontrunner.cli", "admin", "maintain"]
    environment = os.environ | {"FRONTRUNNER_HOME": str(settings.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "jobs: 1" in done.stdout.splitlines()
