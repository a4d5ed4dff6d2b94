"""Quotas: counted under a lock, and compute by what attempts took."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select, update

from frontrunner.status import Status
from jobs import lifecycle
from jobs.quotas import (
    Limits,
    QuotaExceeded,
    compute_seconds,
    limits_of,
    locked_limits,
    require_room_for_datasets,
    set_limits,
    tenants_without_compute,
    use_of,
)
from models import ComputeUseRow, DatasetRow, StepRow, database_now
from tests.jobs.rows import apply, claim, output, submit


def dataset(number, size):
    return DatasetRow(
        id=f"ds_{number}", tenant="anna", digest=str(number), name="n", blob="b", bytes=size, options={}, report={}
    )


def test_of_uploads_that_end_together_only_those_that_fit_are_kept(database):
    """Eight of 30 bytes each, at one moment, where 100 may be kept: three fit."""
    barrier, refused = threading.Barrier(8), []

    def keep(number):
        barrier.wait()
        try:
            with database.write_transaction() as session:
                limits = locked_limits(session, "anna", Limits(bytes=100))
                session.add(dataset(number, 30))
                session.flush()
                require_room_for_datasets(session, "anna", limits)
        except QuotaExceeded:
            refused.append(number)

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    with database.read_transaction() as session:
        assert session.scalar(select(func.sum(DatasetRow.bytes))) == 90
        assert (use_of(session, "anna").bytes, use_of(session, "anna").datasets) == (90, 3)
        assert use_of(session, "bert").bytes == 0


def test_what_is_said_of_a_tenant_goes_before_the_settings_and_zero_is_no_limit(database):
    with database.write_transaction() as session:
        set_limits(session, "anna", {"bytes": 7, "jobs": 0})
    defaults = Limits(bytes=5, datasets=6, jobs=4)
    with database.read_transaction() as session:
        assert limits_of(session, "anna", defaults) == Limits(bytes=7, datasets=6, jobs=0)
        assert limits_of(session, "bert", defaults) == defaults
    with database.write_transaction() as session:
        set_limits(session, "anna", {"bytes": None, "requests": 3})
    with database.read_transaction() as session:
        assert limits_of(session, "anna", defaults) == Limits(bytes=5, datasets=6, jobs=0, requests=3)


def started(database, held, seconds_ago):
    with database.write_transaction() as session:
        session.execute(
            update(StepRow).where(StepRow.id == held.step_id).values(started_at=database_now() - seconds_ago)
        )


def seconds(database, tenant="default"):
    with database.read_transaction() as session:
        return compute_seconds(session).get(tenant, 0.0)


@pytest.mark.parametrize(
    "end",
    [
        lambda session, held: lifecycle.succeed_step(session, held, output(1.0)),
        lambda session, held: lifecycle.fail_step(session, held, "bad", "why"),
        lambda session, held: lifecycle.give_up_attempt(session, held, "runner_crashed", "why"),
        lambda session, held: lifecycle.return_step(session, held),
        lambda session, held: lifecycle.cancel_step(session, held),
    ],
)
def test_an_attempt_counts_while_it_runs_and_once_however_it_ends(database, end):
    submit(database)
    held = claim(database)
    started(database, held, 100.0)
    assert seconds(database) == pytest.approx(100.0, abs=3)
    assert apply(database, end, held)
    assert seconds(database) == pytest.approx(100.0, abs=3)
    assert not apply(database, end, held)  # the lease is lost
    assert seconds(database) == pytest.approx(100.0, abs=3)


def test_deleting_a_job_gives_no_compute_back_and_an_hour_does(database):
    job = submit(database, ("a",))
    held = claim(database)
    started(database, held, 50.0)
    apply(database, lifecycle.succeed_step, held, output(1.0))
    apply(database, lifecycle.delete_job, job)
    assert seconds(database) == pytest.approx(50.0, abs=3)
    with database.write_transaction() as session:
        session.execute(update(ComputeUseRow).values(minute=ComputeUseRow.minute - 61))
    assert seconds(database) == 0.0


def test_steps_of_a_tenant_without_compute_wait_and_others_go_on(database):
    submit(database, ("a", "b"), tenant="anna")
    first = claim(database)
    started(database, first, 3000.0)
    submit(database, ("c",), seed=1, tenant="bert", priority=0)
    with database.write_transaction() as session:
        assert tenants_without_compute(session, 1000.0) == ["anna"]
        assert tenants_without_compute(session, 0.0) == []
        held = lifecycle.claim_best(session, ("cpu",), 30.0, 1000.0)
        assert held.tenant == "bert"
        assert lifecycle.claim_best(session, ("cpu",), 30.0, 1000.0) is None
        set_limits(session, "anna", {"compute_s": 5000.0})
        assert lifecycle.claim_best(session, ("cpu",), 30.0, 1000.0).tenant == "anna"
    with database.read_transaction() as session:
        assert session.scalar(select(func.count()).where(StepRow.status == Status.RUNNING)) == 3
