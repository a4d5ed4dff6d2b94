"""Past results in both databases: imported once, and left by tunings in the transaction that ends them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.evidence import PastResult
from frontrunner.tuning import TuningRequest, tuning_payload
from frontrunner.tuning.result import Interval, Metrics, TuningOutput
from jobs import lifecycle
from jobs.history import find_results, import_results, past_results
from jobs.kinds.tuning import tuning_job
from models import HistoryRow
from tests.jobs.rows import DIGEST, REPORT, apply, claim, description, new_job

RESULTS = [
    PastResult(model="a", dataset="x", accuracy=0.9, scores={"logme": 1.5}, parameters=1e6, family="vit"),
    PastResult(model="a", dataset="y", accuracy=0.8, protocol="lora", source_dataset="imagenet", dataset_classes=3),
    PastResult(model="b", dataset="x", accuracy=0.7),
    PastResult(model="b", dataset="x", accuracy=0.7),
]


def count(database):
    with database.read_transaction() as session:
        return session.scalar(select(func.count()).select_from(HistoryRow))


def test_the_same_file_twice_adds_nothing_and_more_rows_add_themselves(database):
    assert apply(database, import_results, RESULTS) == 4
    assert apply(database, import_results, RESULTS) == 0
    assert apply(database, import_results, list(reversed(RESULTS))) == 0
    more = [*RESULTS, RESULTS[2], RESULTS[2].model_copy(update={"accuracy": 0.6})]
    assert apply(database, import_results, more) == 2
    assert count(database) == 6


def test_each_tenant_imports_for_itself_and_hears_nothing_of_the_others(database):
    assert [apply(database, import_results, RESULTS, tenant) for tenant in ("default", "anna", "bert")] == [4, 4, 4]
    assert apply(database, import_results, RESULTS, "anna") == 0
    with database.of_tenant("anna").read_transaction() as session:
        assert sorted(past_results(session), key=repr) == sorted(RESULTS, key=repr)
    with database.read_transaction() as session:
        assert {row.tenant for row in find_results(session, tenant="bert")} == {"bert"}


def test_what_is_imported_comes_back_as_it_was(database):
    apply(database, import_results, RESULTS)
    with database.read_transaction() as session:
        found = past_results(session)
        on_x = find_results(session, dataset="x")
        of_a = find_results(session, model="a", limit=1)
    assert sorted(found, key=repr) == sorted(RESULTS, key=repr)
    assert {(row.model, row.source, row.diverged) for row in on_x} == {("a", "file", False), ("b", "file", False)}
    assert len(of_a) == 2, "one more than the limit, as there are more"


def test_more_rows_than_one_statement_takes_are_imported_in_one_transaction(database):
    many = [PastResult(model=str(i), dataset="x", accuracy=0.5) for i in range(503)]

    def fall(session):
        import_results(session, many)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        apply(database, fall)
    assert count(database) == 0
    assert apply(database, import_results, many) == 503


def test_an_accuracy_that_is_no_share_is_refused_by_the_database(database):
    row = HistoryRow(
        id="1", source="file", model="a", dataset="x", accuracy=91.0, diverged=False, protocol="", scores={}
    )
    with pytest.raises(IntegrityError):
        apply(database, lambda session: session.add(row))


def start_tuning(database, **options):
    """A tuning's job; its claim."""
    new_job(database)  # writes the dataset
    reference = DatasetReference.of(Path("/data"), REPORT, DatasetOptions())
    known = {name: description(name[-1]) for name in ("local:a", "local:b")}
    payload = tuning_payload(TuningRequest(**options), reference, known, Path("/nowhere"))
    with database.write_transaction() as session:
        new = tuning_job(payload, reference.id, 100, "cpu")
        lifecycle.submit(session, new, lifecycle.Terms(max_attempts=1))
    return claim(database)


def tuned(ended="completed", split="test"):
    """What a tuning says that reached 0.875."""
    return TuningOutput(
        method="finetune",
        folder="/nowhere",
        weights="tuned.safetensors",
        models=[],
        ended=ended,
        ended_because="",
        best_epoch=1,
        epochs=2,
        learning_rate=0.03,
        train_examples=80,
        validation_examples=20,
        micro_batch=8,
        parameters=10,
        held_norms=0,
        metrics=Metrics(
            split=split,
            examples=8,
            accuracy=Interval(value=0.875, low=0.5, high=0.97),
            log_loss=0.1,
            calibration_error=0.1,
            classes=("a", "b", "c"),
            confusion=[[0]],
        ),
        generalisation=None,
        curve=[],
        seconds=1.0,
    ).model_dump_json()


def rows_of(database):
    with database.read_transaction() as session:
        return session.scalars(select(HistoryRow)).all()


def test_a_finished_tuning_is_a_result_of_its_student(database):
    held = start_tuning(database, student="local:a", epochs=2, image_size=128, seed=7)
    assert apply(database, lifecycle.succeed_step, held, tuned())
    (row,) = rows_of(database)
    assert (row.source, row.job_id, row.model, row.dataset) == ("tuning", held.job_id, "local:a", "data.zip")
    assert (row.dataset_digest, row.accuracy, row.diverged) == (DIGEST, 0.875, False)
    assert row.protocol == "finetune, epochs 2, examples 5000, image_size 128"
    assert (row.learning_rate, row.seed) == (0.03, 7)
    assert (row.dataset_size, row.dataset_classes, row.parameters, row.family) == (100, 3, 1000, "test")


def test_the_row_is_there_with_the_end_of_its_step_or_not_at_all(database):
    held = start_tuning(database, student="local:a")

    def succeed_and_fall(session):
        lifecycle.succeed_step(session, held, tuned())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        apply(database, succeed_and_fall)
    assert rows_of(database) == []
    assert apply(database, lifecycle.succeed_step, held, tuned())
    assert not apply(database, lifecycle.succeed_step, held, tuned()), "the lease is over"
    assert len(rows_of(database)) == 1


def test_the_same_tuning_done_again_says_nothing_new_and_another_seed_does(database):
    for seed in (0, 0, 1):
        held = start_tuning(database, student="local:a", seed=seed)
        apply(database, lifecycle.succeed_step, held, tuned())
    assert sorted(row.seed for row in rows_of(database)) == [0, 1]


def test_what_diverged_is_kept_and_is_no_truth(database):
    held = start_tuning(database, student="local:a")
    apply(database, lifecycle.succeed_step, held, tuned(ended="diverged", split="validation"))
    (row,) = rows_of(database)
    assert row.diverged
    assert row.protocol.endswith("measured on validation")
    with database.read_transaction() as session:
        assert past_results(session) == []


def test_a_tuning_that_failed_leaves_no_row(database):
    held = start_tuning(database, student="local:a")
    apply(database, lifecycle.fail_step, held, "tuning_diverged", "the loss became infinite")
    assert rows_of(database) == []


def test_a_model_made_of_several_checkpoints_is_no_result_of_one(database):
    held = start_tuning(database, method="zoo_tuning", teachers=("local:a", "local:b"))
    apply(database, lifecycle.succeed_step, held, tuned())
    assert rows_of(database) == []
