"""The planner is asked in the transaction that ends a step: it adds steps, waits, or ends the job."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel
from sqlalchemy import event

from frontrunner.progress import SILENT, Stage
from frontrunner.status import Failure, JobResult, Status
from jobs import lifecycle
from jobs.kinds import KINDS, JobKind, NewJob, NewStep
from jobs.lifecycle import Terms
from jobs.work import run_payload
from tests.jobs.rows import apply, claim, job_row, steps_of, stored_result, submit


class Sum(BaseModel):
    rounds: int
    width: int


class Number(BaseModel):
    value: int


class Total(JobResult):
    total: int


class RoundsKind(JobKind[Sum, Number, Number]):
    """Adds numbers in rounds; each round waits for the one before it."""

    name = "rounds"
    request = Sum
    payload = Number
    output = Number
    counted = frozenset({Stage.READ})

    def result_url(self, job_id):
        return f"/rounds/{job_id}"

    def next_steps(self, job):
        if job.is_in_hand:
            return ()
        over, width = divmod(len(job.steps), job.request.width)[0], job.request.width
        if over == job.request.rounds:
            return self.result(job)
        return [NewStep(f"{over}.{place}", Number(value=over), "cpu", 10) for place in range(width)]

    def result(self, job):
        total = sum(step.output.value for step in job.steps if step.output is not None)
        failure = Failure(code="too_much", reason="the total is above 100") if total > 100 else None
        return Total(id=job.id, status=job.status, total=total, failure=failure)

    def run(self, payload, progress):
        return Number(value=2 * payload.value)


@pytest.fixture
def rounds(database, monkeypatch):
    monkeypatch.setitem(KINDS, "rounds", RoundsKind())

    def start(rounds: int, width: int) -> str:
        new = NewJob("rounds", Sum(rounds=rounds, width=width))
        return apply(database, lambda session: lifecycle.submit(session, new, Terms(max_attempts=2)).job.id)

    return start


def answer(value: int) -> str:
    return Number(value=value).model_dump_json()


def test_a_planner_adds_steps_until_it_gives_the_result(database, rounds):
    job = rounds(2, 2)
    assert [step.name for step in steps_of(database, job)] == ["0.0", "0.1"]
    apply(database, lifecycle.succeed_step, claim(database), answer(1))
    assert len(steps_of(database, job)) == 2, "the first round is still in hand"
    apply(database, lifecycle.succeed_step, claim(database), answer(2))
    row = job_row(database, job)
    assert (row.status, row.steps_total, row.steps_left) == (Status.RUNNING, 4, 2)
    assert [step.name for step in steps_of(database, job)] == ["0.0", "0.1", "1.0", "1.1"]
    assert [step.ordinal for step in steps_of(database, job)] == [0, 1, 2, 3]
    for value in (3, 4):
        apply(database, lifecycle.succeed_step, claim(database), answer(value))
    assert (job_row(database, job).status, stored_result(database, job)["total"]) == (Status.SUCCEEDED, 10)


def test_steps_that_are_added_are_claimed_on_the_terms_of_their_job(database, rounds):
    job = rounds(2, 1)
    apply(database, lifecycle.succeed_step, claim(database), answer(1))
    held = claim(database)
    assert (held.job_id, held.max_attempts, json.loads(held.payload)) == (job, 2, {"value": 1})


def test_the_round_that_follows_is_there_with_the_result_that_asked_for_it_or_not_at_all(database, rounds):
    job = rounds(2, 1)
    held = claim(database)

    def succeed_and_fall():
        with database.write_transaction() as session:
            lifecycle.succeed_step(session, held, answer(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        succeed_and_fall()
    assert [step.status for step in steps_of(database, job)] == ["running"]
    assert apply(database, lifecycle.succeed_step, held, answer(1))
    assert [step.status for step in steps_of(database, job)] == ["succeeded", "queued"]


def test_a_failed_step_is_planned_around(database, rounds):
    job = rounds(2, 1)
    apply(database, lifecycle.fail_step, claim(database), "code", "reason")
    apply(database, lifecycle.succeed_step, claim(database), answer(5))
    assert (job_row(database, job).status, stored_result(database, job)["total"]) == (Status.SUCCEEDED, 5)


def test_a_cancelled_job_is_not_planned_on(database, rounds):
    job = rounds(3, 1)
    apply(database, lifecycle.succeed_step, claim(database), answer(1))
    apply(database, lifecycle.cancel_job, job)
    assert job_row(database, job).status == Status.CANCELLED
    assert len(steps_of(database, job)) == 2
    assert stored_result(database, job) == {"id": job, "status": "cancelled", "failure": None, "total": 1}


def test_a_result_with_a_failure_fails_the_job(database, rounds):
    job = rounds(1, 1)
    apply(database, lifecycle.succeed_step, claim(database), answer(200))
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.FAILED, "too_much")


class BrokenKind(RoundsKind):
    """Trips over a step without an output."""

    def next_steps(self, job):
        if any(step.output.value < 0 for step in job.steps if step.status.is_terminal):
            return ()
        return super().next_steps(job)


@pytest.fixture
def broken(rounds, monkeypatch):
    monkeypatch.setitem(KINDS, "rounds", BrokenKind())
    return rounds


def test_a_planner_that_raises_loses_its_job_once_no_step_is_in_hand(database, broken):
    job = broken(2, 2)
    assert apply(database, lifecycle.fail_step, claim(database), "code", "reason")
    assert job_row(database, job).status == Status.RUNNING
    assert apply(database, lifecycle.succeed_step, claim(database), answer(1))
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.LOST, "internal_error")
    assert "the planner of rounds failed" in row.error_reason
    assert [step.status for step in steps_of(database, job)] == ["failed", "succeeded"]
    assert stored_result(database, job)["failure"]["code"] == "internal_error"


def test_a_planner_with_nothing_to_say_loses_its_job(database, broken):
    job = broken(1, 1)
    apply(database, lifecycle.succeed_step, claim(database), answer(-1))
    row = job_row(database, job)
    assert (row.status, row.error_code) == (Status.LOST, "internal_error")
    assert "neither steps nor a result" in row.error_reason


def test_a_retry_of_a_cancelled_job_goes_on_planning(database, rounds):
    job = rounds(2, 1)
    apply(database, lifecycle.cancel_job, job)
    apply(database, lifecycle.retry_job, job)
    for value in (1, 2):
        apply(database, lifecycle.succeed_step, claim(database), answer(value))
    assert (job_row(database, job).status, stored_result(database, job)["total"]) == (Status.SUCCEEDED, 3)


def test_steps_that_are_not_the_last_are_ended_without_reading_what_the_others_said(database):
    submit(database)
    held = claim(database)
    asked: list[str] = []
    listened = database.engine

    @event.listens_for(listened, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_more):
        asked.append(statement)

    apply(database, lifecycle.fail_step, held, "code", "reason")
    event.remove(listened, "before_cursor_execute", note)
    reads = [statement for statement in asked if statement.startswith("SELECT")]
    assert reads
    assert not any("steps.output" in statement or "jobs.request" in statement for statement in reads)


def test_a_runner_does_the_work_of_a_kind_from_json_to_json(monkeypatch):
    monkeypatch.setitem(KINDS, "rounds", RoundsKind())
    assert json.loads(run_payload("rounds", answer(21), SILENT)) == {"value": 42}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_keeps_to_the_contract(name):
    kind = KINDS[name]
    assert kind.name == name == type(kind).__module__.split(".")[2], "its folder is called as it is"
    assert all(issubclass(model, BaseModel) for model in (kind.request, kind.payload, kind.output))
    assert kind.counted
    assert kind.result_url("job_1").startswith("/v1/")
    assert kind.result_url("job_1").endswith("/job_1")
