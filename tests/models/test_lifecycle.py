"""Every change of status, on both databases."""

from __future__ import annotations

import itertools
import threading

import pytest
from sqlalchemy import update

from models import JOB_TRANSITIONS, STEP_TRANSITIONS, JobRow, ScoreRow, Status, StepRow, lifecycle
from tests.models.material import output, steps_of, submit

LEASE_S = 30.0


def claim(database, step_id, lease_s=LEASE_S):
    with database.writing() as session:
        return lifecycle.claim_step(session, step_id, lease_s)


def apply(database, function, *arguments):
    with database.writing() as session:
        return function(session, *arguments)


def job_row(database, job_id):
    with database.reading() as session:
        return session.get(JobRow, job_id)


def test_a_claim_starts_the_step_and_its_job(database, job):
    first, *_ = steps_of(database, job)
    held = claim(database, first.id)
    assert held.attempt == 1
    assert [step.status for step in steps_of(database, job)] == ["running", "queued", "queued"]
    assert job_row(database, job).status == Status.RUNNING


def test_a_doubled_message_claims_nothing(database, job):
    first, *_ = steps_of(database, job)
    assert claim(database, first.id) is not None
    assert all(claim(database, first.id) is None for _ in range(10))
    assert claim(database, "step_unknown") is None


def test_of_many_that_race_for_a_step_one_wins(database, job):
    first, *_ = steps_of(database, job)
    won = []
    threads = [threading.Thread(target=lambda: won.append(claim(database, first.id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(held is not None for held in won) == 1
    assert steps_of(database, job)[0].attempt == 1


def test_the_last_step_finishes_the_job_with_its_ranking(database, job):
    for value, step in zip((0.1, 0.3, 0.2), steps_of(database, job), strict=True):
        assert apply(database, lifecycle.succeed_step, claim(database, step.id), output(value))
    row = job_row(database, job)
    assert (row.status, row.steps_left) == (Status.SUCCEEDED, 0)
    assert [line["checkpoint"] for line in row.result["ranking"]] == ["local:b", "local:c", "local:a"]
    assert row.finished_at >= row.started_at >= row.created_at
    with database.reading() as session:
        assert session.query(ScoreRow).filter_by(job_id=job).count() == 3


def test_a_ranking_can_be_read_while_it_runs(database, job):
    first, *_ = steps_of(database, job)
    apply(database, lifecycle.succeed_step, claim(database, first.id), output(0.5))
    with database.reading() as session:
        partial = lifecycle.ranking_of(session, session.get(JobRow, job))
    assert (partial.status, [line.checkpoint for line in partial.ranking]) == ("running", ["local:a"])


def test_a_result_is_accepted_once(database, job):
    first, *_ = steps_of(database, job)
    held = claim(database, first.id)
    assert apply(database, lifecycle.succeed_step, held, output(0.5))
    assert not apply(database, lifecycle.succeed_step, held, output(0.9))
    assert not apply(database, lifecycle.fail_step, held, "code", "reason")
    assert job_row(database, job).steps_left == 2
    assert steps_of(database, job)[0].output["scores"]["logme"]["value"] == 0.5


def test_a_lost_lease_can_write_nothing(database, job):
    first, *_ = steps_of(database, job)
    old = claim(database, first.id)
    assert apply(database, lifecycle.give_up_attempt, old, "worker_lost", "gone")
    new = claim(database, first.id)
    assert new.attempt == 2
    assert not apply(database, lifecycle.beat, old, LEASE_S, 5)
    assert not apply(database, lifecycle.succeed_step, old, output(0.5))
    assert apply(database, lifecycle.succeed_step, new, output(0.6))


def test_the_last_attempt_that_is_lost_fails_the_step_and_not_the_ranking(database, job):
    first, *rest = steps_of(database, job)
    for _ in range(2):
        assert apply(database, lifecycle.give_up_attempt, claim(database, first.id), "runner_crashed", "status -9")
    assert (steps_of(database, job)[0].status, steps_of(database, job)[0].error_code) == ("failed", "runner_crashed")
    for step in rest:
        apply(database, lifecycle.succeed_step, claim(database, step.id), output(0.1))
    result = job_row(database, job).result
    assert result["status"] == "succeeded"
    assert [(s["checkpoint"], s["code"]) for s in result["skipped"]] == [("local:a", "runner_crashed")]


def test_a_job_whose_every_step_fails_has_failed_and_says_why(database, job):
    for step in steps_of(database, job):
        apply(database, lifecycle.fail_step, claim(database, step.id), "checkpoint_unreadable", "bad header")
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.FAILED, "nothing_ranked")
    assert "bad header" in row.error_reason
    assert row.result["failure"]["code"] == "nothing_ranked"


def test_a_step_that_is_handed_back_is_not_charged(database, job):
    first, *_ = steps_of(database, job)
    apply(database, lifecycle.return_step, claim(database, first.id))
    assert claim(database, first.id).attempt == 1


def test_expired_leases_are_found_by_the_databases_clock(database, job):
    first, second, _ = steps_of(database, job)
    claim(database, first.id, lease_s=-1.0)
    claim(database, second.id)
    with database.reading() as session:
        assert [held.step_id for held in lifecycle.expired_claims(session)] == [first.id]


def test_unheard_steps_are_rung_for_ever_more_rarely(database, job):
    assert len(apply(database, lifecycle.unheard_steps, 0.0)) == 3
    assert len(apply(database, lifecycle.unheard_steps, 1000.0)) == 3
    assert apply(database, lifecycle.unheard_steps, 1000.0) == []


def test_cancelling_a_queued_job_ends_it_at_once(database, job):
    assert apply(database, lifecycle.cancel_job, job).status == Status.CANCELLED
    assert {step.status for step in steps_of(database, job)} == {"cancelled"}
    assert claim(database, steps_of(database, job)[0].id) is None


def test_cancelling_a_running_job_ends_it_with_its_last_step(database, job):
    first, *_ = steps_of(database, job)
    held = claim(database, first.id)
    assert apply(database, lifecycle.cancel_job, job).status == Status.CANCELLING
    assert not apply(database, lifecycle.beat, held, LEASE_S, 0)
    assert apply(database, lifecycle.cancel_step, held)
    row = job_row(database, job)
    assert (row.status, row.steps_left) == (Status.CANCELLED, 0)


def test_cancelling_a_finished_job_changes_nothing(database):
    job = submit(database, names=("a",))
    apply(database, lifecycle.succeed_step, claim(database, steps_of(database, job)[0].id), output(0.1))
    assert apply(database, lifecycle.cancel_job, job).status == Status.SUCCEEDED


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_only_transitions_in_the_table_happen_to_a_step(sqlite, before, after):
    """Every pair: the operation that leads to `after` succeeds from `before` exactly if the table says so."""
    if before == Status.CANCELLING or after == Status.CANCELLING:
        assert after not in STEP_TRANSITIONS[before]
        return
    database, job = sqlite
    step = steps_of(database, job)[0]
    held = claim(database, step.id)
    if before != Status.RUNNING:
        with database.writing() as session:
            session.execute(
                update(StepRow).where(StepRow.id == step.id).values(status=before, lease_token=None, lease_until=None)
            )
    operation = {
        Status.QUEUED: lambda: apply(database, lifecycle.return_step, held),
        Status.RUNNING: lambda: claim(database, step.id) is not None,
        Status.SUCCEEDED: lambda: apply(database, lifecycle.succeed_step, held, output(0.1)),
        Status.FAILED: lambda: apply(database, lifecycle.fail_step, held, "c", "r"),
        Status.CANCELLED: lambda: (
            apply(database, lifecycle.cancel_step, held)
            or (
                (apply(database, lifecycle.cancel_job, job) and steps_of(database, job)[0].status == "cancelled")
                and before != Status.CANCELLED
            )
        ),
    }[after]
    assert bool(operation()) == (after in STEP_TRANSITIONS[before])


@pytest.mark.parametrize("status", list(Status))
def test_a_job_is_over_exactly_where_the_table_has_no_way_on(status):
    assert status.is_terminal == (not JOB_TRANSITIONS[status])


@pytest.fixture
def sqlite(tmp_path):
    import migrations
    from models import Database

    database = Database(f"sqlite:///{tmp_path / 'pairs.db'}")
    migrations.upgrade(database)
    yield database, submit(database)
    database.close()
