"""Every change of status, on both databases."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from sqlalchemy import update

from frontrunner.status import Status
from jobs import lifecycle
from jobs.errors import IdenticalJobRunning, JobNotFound, JobNotOver, NothingToRetry
from jobs.transitions import JOB_TRANSITIONS, STEP_TRANSITIONS
from models import StepRow
from tests.jobs.rows import (
    LEASE_S,
    READ_5,
    apply,
    claim,
    events_of,
    job_row,
    output,
    result_of,
    steps_of,
    stored_result,
    submit,
)


def test_a_claim_starts_the_step_and_its_job(database, job):
    held = claim(database)
    assert (held.attempt, held.name, held.kind) == (1, "local:a", "ranking")
    assert [step.status for step in steps_of(database, job)] == ["running", "queued", "queued"]
    assert job_row(database, job).status == Status.RUNNING


def test_the_last_step_finishes_the_job_with_its_ranking(database, job):
    for value in (0.1, 0.3, 0.2):
        assert apply(database, lifecycle.succeed_step, claim(database), output(value))
    row = job_row(database, job)
    assert (row.status, row.steps_left) == (Status.SUCCEEDED, 0)
    result = stored_result(database, job)
    assert [line["checkpoint"] for line in result["ranking"]] == ["local:b", "local:c", "local:a"]
    assert result["status"] == "succeeded"
    assert row.finished_at >= row.started_at >= row.created_at


def test_a_ranking_can_be_read_while_it_runs(database, job):
    apply(database, lifecycle.succeed_step, claim(database), output(0.5))
    partial = result_of(database, job)
    assert (partial["status"], [line["checkpoint"] for line in partial["ranking"]]) == ("running", ["local:a"])


def test_a_result_is_accepted_once(database, job):
    held = claim(database)
    assert apply(database, lifecycle.succeed_step, held, output(0.5))
    assert not apply(database, lifecycle.succeed_step, held, output(0.9))
    assert not apply(database, lifecycle.fail_step, held, "code", "reason")
    assert job_row(database, job).steps_left == 2
    assert json.loads(steps_of(database, job)[0].output)["scores"]["logme"]["value"] == 0.5


def test_a_lost_lease_can_write_nothing(database, job):
    old = claim(database)
    assert apply(database, lifecycle.give_up_attempt, old, "worker_lost", "gone")
    others = [claim(database), claim(database)]
    new = claim(database)
    assert ([other.name for other in others], new.name, new.attempt) == (["local:b", "local:c"], "local:a", 2)
    assert not apply(database, lifecycle.beat, old, LEASE_S, READ_5)
    assert not apply(database, lifecycle.succeed_step, old, output(0.5))
    assert apply(database, lifecycle.succeed_step, new, output(0.6))


def lose(database, held):
    return apply(database, lifecycle.give_up_attempt, held, "runner_crashed", "status -9")


def test_the_last_lost_attempt_loses_the_step_and_not_the_ranking(database, job):
    first, *rest = (claim(database) for _ in range(3))
    assert lose(database, first)
    assert lose(database, claim(database))
    step = steps_of(database, job)[0]
    assert (step.status, step.error_code) == (Status.LOST, "runner_crashed")
    assert "attempt 2 of 2" in step.error_reason
    for held in rest:
        apply(database, lifecycle.succeed_step, held, output(0.1))
    result = stored_result(database, job)
    assert result["status"] == "succeeded"
    assert [(s["checkpoint"], s["code"]) for s in result["skipped"]] == [("local:a", "runner_crashed")]


def test_an_attempt_that_is_lost_waits_before_the_next_and_longer_each_time(database):
    submit(database, names=("a",), max_attempts=3)
    for pause_s in (100.0, 200.0):
        held = claim(database)
        earliest = database.now() + pause_s
        apply(
            database,
            lambda session, held=held: lifecycle.give_up_attempt(session, held, "disk_full", "r", delay_s=100.0),
        )
        latest = database.now() + pause_s
        assert claim(database) is None
        with database.write_transaction() as session:
            waiting = session.query(StepRow).one()
            assert earliest - 0.01 <= waiting.available_at <= latest + 0.01
            waiting.available_at = 0.0


def test_a_job_whose_every_step_fails_has_failed_and_says_why(database, job):
    for _ in range(3):
        apply(database, lifecycle.fail_step, claim(database), "checkpoint_unreadable", "bad header")
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.FAILED, "nothing_ranked")
    assert "bad header" in row.error_reason
    assert stored_result(database, job)["failure"]["code"] == "nothing_ranked"


def test_a_job_whose_every_step_was_lost_is_lost_and_not_failed(database):
    job = submit(database, names=("a", "b"), max_attempts=1)
    for _ in range(2):
        lose(database, claim(database))
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.LOST, "runner_crashed")
    result = stored_result(database, job)
    assert (result["status"], result["failure"]["code"]) == ("lost", "runner_crashed")


def test_a_job_with_a_lost_and_a_failed_step_has_failed(database):
    job = submit(database, names=("a", "b"), max_attempts=1)
    lose(database, claim(database))
    apply(database, lifecycle.fail_step, claim(database), "checkpoint_unreadable", "bad header")
    assert job_row(database, job).status == Status.FAILED


def test_a_step_that_is_handed_back_is_not_charged(database):
    submit(database, names=("a",))
    apply(database, lifecycle.return_step, claim(database))
    assert claim(database).attempt == 1


def test_expired_leases_are_found_by_the_databases_clock(database, job):
    expired = claim(database, lease_s=-1.0)
    claim(database)
    with database.read_transaction() as session:
        assert [held.step_id for held in lifecycle.expired_claims(session)] == [expired.step_id]


def test_cancelling_a_queued_job_ends_it_at_once(database, job):
    assert apply(database, lifecycle.cancel_job, job).status == Status.CANCELLED
    assert {step.status for step in steps_of(database, job)} == {"cancelled"}
    assert claim(database) is None


def test_cancelling_a_running_job_ends_it_with_its_last_step(database, job):
    held = claim(database)
    assert apply(database, lifecycle.cancel_job, job).status == Status.CANCELLING
    assert not apply(database, lifecycle.beat, held, LEASE_S)
    assert apply(database, lifecycle.cancel_step, held)
    row = job_row(database, job)
    assert (row.status, row.steps_left) == (Status.CANCELLED, 0)


def test_cancelling_a_finished_job_changes_nothing(database):
    job = submit(database, names=("a",))
    apply(database, lifecycle.succeed_step, claim(database), output(0.1))
    assert apply(database, lifecycle.cancel_job, job).status == Status.SUCCEEDED


@pytest.mark.parametrize("ending", [lose, lambda database, held: apply(database, lifecycle.return_step, held)])
def test_a_step_that_comes_back_while_its_job_is_cancelled_ends_too(database, ending):
    """Its worker may die or stop before it hears of the cancellation: queued again, nobody would ever claim it."""
    job = submit(database, names=("a",))
    held = claim(database)
    apply(database, lifecycle.cancel_job, job)
    assert ending(database, held)
    assert steps_of(database, job)[0].status == Status.CANCELLED
    assert job_row(database, job).status == Status.CANCELLED


def test_a_retry_queues_what_did_not_succeed_and_keeps_what_did(database, job):
    apply(database, lifecycle.succeed_step, claim(database), output(0.5))
    apply(database, lifecycle.fail_step, claim(database), "checkpoint_unreadable", "bad header")
    held = claim(database)
    apply(database, lifecycle.cancel_job, job)
    apply(database, lifecycle.cancel_step, held)
    assert apply(database, lifecycle.retry_job, job).status == Status.QUEUED
    row = job_row(database, job)
    assert (row.steps_left, row.result, row.error_code, row.finished_at) == (2, None, None, None)
    assert [step.status for step in steps_of(database, job)] == ["succeeded", "queued", "queued"]
    for _ in range(2):
        again = claim(database)
        assert again.attempt == 1
        apply(database, lifecycle.succeed_step, again, output(0.1))
    result = stored_result(database, job)
    assert [line["scores"]["logme"]["value"] for line in result["ranking"]] == [0.5, 0.1, 0.1]


def test_nothing_is_retried_of_a_job_that_runs_or_wholly_succeeded(database):
    job = submit(database, names=("a",))
    with pytest.raises(NothingToRetry, match="queued"):
        apply(database, lifecycle.retry_job, job)
    apply(database, lifecycle.succeed_step, claim(database), output(0.1))
    with pytest.raises(NothingToRetry, match="every step"):
        apply(database, lifecycle.retry_job, job)
    with pytest.raises(JobNotFound):
        apply(database, lifecycle.retry_job, "job_unknown")


def test_a_job_is_not_retried_while_another_does_the_same_work(database):
    job = submit(database, names=("a",))
    apply(database, lifecycle.cancel_job, job)
    other = submit(database, names=("a",))
    assert other != job
    with pytest.raises(IdenticalJobRunning):
        apply(database, lifecycle.retry_job, job)
    assert job_row(database, job).status == Status.CANCELLED


def test_a_job_that_is_over_can_be_deleted_with_all_that_hangs_on_it(database):
    job = submit(database, names=("a",))
    with pytest.raises(JobNotOver):
        apply(database, lifecycle.delete_job, job)
    apply(database, lifecycle.succeed_step, claim(database), output(0.1))
    apply(database, lifecycle.delete_job, job)
    assert (job_row(database, job), steps_of(database, job), events_of(database, job)) == (None, [], [])
    with pytest.raises(JobNotFound):
        apply(database, lifecycle.delete_job, job)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_only_transitions_in_the_table_happen_to_a_step(sqlite, before, after):
    """Every pair: the operation that leads to `after` succeeds from `before` exactly if the table says so."""
    if before == Status.CANCELLING or after == Status.CANCELLING:
        assert after not in STEP_TRANSITIONS[before]
        return
    database, job = sqlite
    step = steps_of(database, job)[0]
    held = claim(database)
    if before != Status.RUNNING:
        with database.write_transaction() as session:
            session.execute(
                update(StepRow).where(StepRow.id == step.id).values(status=before, lease_token=None, lease_until=None)
            )

    def retry() -> bool:
        with database.write_transaction() as session:
            lifecycle.find_job(session, job).status = Status.FAILED
        with contextlib.suppress(NothingToRetry):
            return bool(apply(database, lifecycle.retry_job, job))
        return False

    operation = {
        Status.QUEUED: lambda: apply(database, lifecycle.return_step, held) if before == Status.RUNNING else retry(),
        Status.RUNNING: lambda: held.step_id in {found.step_id for found in claims(database)},
        Status.SUCCEEDED: lambda: apply(database, lifecycle.succeed_step, held, output(0.1)),
        Status.FAILED: lambda: apply(database, lifecycle.fail_step, held, "c", "r"),
        Status.LOST: lambda: (
            apply(database, lifecycle.give_up_attempt, held, "c", "r")
            and steps_of(database, job)[0].status == Status.LOST
        ),
        Status.CANCELLED: lambda: (
            apply(database, lifecycle.cancel_step, held)
            or (
                (apply(database, lifecycle.cancel_job, job) and steps_of(database, job)[0].status == "cancelled")
                and before != Status.CANCELLED
            )
        ),
    }[after]
    assert bool(operation()) == (after in STEP_TRANSITIONS[before])


def claims(database):
    return iter(lambda: claim(database), None)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_only_transitions_in_the_table_happen_to_a_job(sqlite, before, after):
    from jobs.lifecycle.finishing import move

    database, job = sqlite
    with database.write_transaction() as session:
        row = lifecycle.find_job(session, job)
        row.status = before
        if after in JOB_TRANSITIONS[before]:
            move(session, row, after)
            assert row.status == after
        else:
            with pytest.raises(AssertionError):
                move(session, row, after)
            assert row.status == before


@pytest.mark.parametrize("status", list(Status))
def test_from_what_is_over_only_a_retry_leads_on(status):
    assert status.is_terminal == (JOB_TRANSITIONS[status] == {Status.QUEUED})


@pytest.fixture
def sqlite(tmp_path):
    import migrations
    from models import Database

    database = Database(f"sqlite:///{tmp_path / 'pairs.db'}")
    migrations.upgrade(database)
    yield database, submit(database, max_attempts=1)
    database.close()
