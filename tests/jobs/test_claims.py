"""Which step goes first, and what is written down of it, on both databases."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from jobs import lifecycle
from jobs.lifecycle.events import MAX_EVENTS
from models import CounterRow, EventRow, JobRow, StepRow, database_now
from tests.jobs.rows import READ_5, apply, claim, events_of, job_row, output, steps_of, submit


def test_nothing_is_claimed_where_nothing_waits(database, job):
    assert [claim(database).name for _ in range(3)] == ["local:a", "local:b", "local:c"]
    assert all(claim(database) is None for _ in range(10))


def test_of_many_that_race_each_step_is_claimed_once(database):
    jobs = [submit(database, names=("a", "b"), seed=seed) for seed in range(4)]
    won = []

    def race() -> None:
        while (held := claim(database)) is not None:
            won.append(held.step_id)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted(step.id for job in jobs for step in steps_of(database, job))
    assert {step.attempt for job in jobs for step in steps_of(database, job)} == {1}


def test_claims_and_cancellations_at_once_leave_no_job_between_two_states(database):
    """Both lock the job first: neither waits for the other while holding what the other needs."""
    jobs = [submit(database, names=("a", "b", "c"), seed=seed) for seed in range(10)]

    def claim_and_finish() -> None:
        while (held := claim(database)) is not None:
            apply(database, lifecycle.succeed_step, held, output(0.1))

    threads = [threading.Thread(target=claim_and_finish) for _ in range(3)]
    threads += [threading.Thread(target=apply, args=(database, lifecycle.cancel_job, job)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        assert job_row(database, job).status in ("succeeded", "cancelled")
        assert (job_row(database, job).steps_left, len(steps_of(database, job))) == (0, 3)


def test_a_worker_claims_from_its_own_queues(database):
    submit(database, names=("a",), queue="gpu")
    assert claim(database, queues=("cpu", "io")) is None
    assert claim(database, queues=("gpu",)).name == "local:a"


def test_the_tenant_with_the_fewest_running_steps_goes_first(database):
    busy = submit(database, names=("a", "b", "c", "d"), tenant="busy", priority=9)
    quiet = submit(database, names=("e", "f"), tenant="quiet", priority=0)
    order = [claim(database).job_id for _ in range(6)]
    assert order == [busy, quiet, busy, quiet, busy, busy]


def test_among_one_tenants_steps_priority_goes_before_age(database):
    jobs = {priority: submit(database, names=("a",), priority=priority, seed=priority) for priority in (3, 9, 0, 5)}
    assert [claim(database).job_id for _ in range(4)] == [jobs[priority] for priority in (9, 5, 3, 0)]
    older, newer = (submit(database, names=("a",), seed=seed) for seed in (100, 101))
    assert [claim(database).job_id for _ in range(2)] == [older, newer]


def test_a_priority_out_of_range_cannot_be_stored(database):
    with pytest.raises(IntegrityError):
        submit(database, priority=10)


def test_identical_work_of_one_tenant_is_one_row_while_it_runs(database, job):
    assert submit(database) == job
    assert submit(database, tenant="another") != job
    digest = job_row(database, job).work_digest
    copy = JobRow(id="job_x", kind="ranking", status="queued", request="{}", work_digest=digest)
    copy.max_attempts = copy.steps_total = copy.steps_left = 1
    with pytest.raises(IntegrityError):
        apply(database, lambda session: session.add(copy))


def test_events_number_what_happened_without_a_gap(database):
    job = submit(database, names=("a",))
    held = claim(database)
    apply(database, lifecycle.beat, held, 30.0, READ_5)
    apply(database, lifecycle.beat, held, 30.0)
    apply(database, lifecycle.give_up_attempt, held, "runner_crashed", "r")
    apply(database, lifecycle.succeed_step, claim(database), output(0.1))
    assert events_of(database, job) == [
        "job.queued", "job.running", "step.running", "step.progress", "step.queued", "step.running", "step.succeeded",
        "job.succeeded",
    ]  # fmt: skip
    with database.read_transaction() as session:
        numbers = session.scalars(select(EventRow.number).order_by(EventRow.number)).all()
    assert list(numbers) == list(range(1, 9))
    assert job_row(database, job).version == 8


def test_old_events_of_a_job_are_dropped(database):
    job = submit(database, names=("a",))
    held = claim(database)
    with database.write_transaction() as session:
        session.execute(update(JobRow).values(version=10 * MAX_EVENTS - 1))
    apply(database, lifecycle.beat, held, 30.0, READ_5)
    assert events_of(database, job) == ["step.progress"]


def test_counters_count_in_the_transactions_that_they_count(database):
    submit(database, names=("a", "b"))
    held = claim(database)

    def succeed_and_fall() -> None:
        with database.write_transaction() as session:
            lifecycle.succeed_step(session, held, output(0.1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        succeed_and_fall()
    apply(database, lifecycle.succeed_step, held, output(0.1))
    apply(database, lifecycle.fail_step, claim(database), "c", "r")
    with database.read_transaction() as session:
        counters = {(row.name, row.label): row.value for row in session.query(CounterRow)}
    assert counters["steps", "ranking:succeeded"] == counters["steps", "ranking:failed"] == 1
    assert counters["forward_examples", "ranking"] == 10
    waits = sum(value for (name, _), value in counters.items() if name == "claim_seconds")
    assert waits == 2


def test_a_finished_step_shows_all_its_examples_done(database):
    job = submit(database, names=("a",))
    apply(database, lifecycle.succeed_step, claim(database), output(0.1))
    with database.read_transaction() as session:
        step = session.scalar(select(StepRow).where(StepRow.job_id == job))
    assert step.examples_done == step.examples_total == 100


def test_a_running_step_without_a_lease_cannot_be_stored(database, job):
    with pytest.raises(IntegrityError), database.write_transaction() as session:
        session.execute(update(StepRow).values(status="running", lease_until=database_now()))
