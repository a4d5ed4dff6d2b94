"""A ranking with a budget as a job: a round is a set of steps, planned in the transaction that ends the one before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.evidence import PastResult
from frontrunner.ranking import Plan, RankingRequest, Reading, Trial, expectations_of
from frontrunner.settings import Settings
from frontrunner.status import Status
from frontrunner.store import FolderStore
from frontrunner.tuning.result import Interval
from frontrunner.tuning.verification import VerificationOutput
from jobs import lifecycle
from jobs.history import import_results, past_results, prevailing_history
from jobs.kinds.ranking import ranking_job
from jobs.kinds.ranking.steps import name_of, step_of
from jobs.lifecycle import Terms
from jobs.records import state_of
from models import EventRow, JobRow
from tests.jobs.rows import REPORT, apply, claim, description, job_row, new_job, output, result_of, steps_of

VALUES = {"local:a": 0.1, "local:b": 0.9, "local:c": 0.85}


def answer(name: str, cost: float = 0.1) -> str:
    """What the step `ID@N` of a checkpoint says: nearly alike are b and c, far behind is a."""
    checkpoint, _, examples = name.rpartition("@")
    value = VALUES[checkpoint]
    noise = 0.02 * (1 if checkpoint == "local:b" else -1)
    said = json.loads(output(value))
    said["scores"]["logme"]["replicates"] = [value + noise * shift for shift in (-1, 0, 1, 0) * 8]
    return json.dumps(said | {"examples": int(examples), "seconds": cost})


def submit_race(database, budget: str = "100%") -> str:
    new_job(database)  # writes the dataset
    plan = Plan(checkpoints=tuple(description(name) for name in "abc"), skipped=())
    reference = DatasetReference.of(Path("/data"), REPORT, DatasetOptions())
    settings, store = Settings(home=Path("/home")), FolderStore(Path("/home"))
    job = ranking_job(RankingRequest(budget=budget), reference, plan, settings, store)
    with database.write_transaction() as session:
        return lifecycle.submit(session, job, Terms(max_attempts=2)).job.id


def finish_one(database) -> str | None:
    """Claim a step and end it well; its name."""
    claimed = claim(database)
    if claimed is None:
        return None
    assert apply(database, lifecycle.succeed_step, claimed, answer(claimed.name))
    return claimed.name


def test_a_round_is_planned_when_the_one_before_is_over_and_only_for_those_still_in(database):
    job = submit_race(database)
    assert [step.name for step in steps_of(database, job)] == ["local:a@32", "local:b@32", "local:c@32"]
    finish_one(database), finish_one(database)
    assert len(steps_of(database, job)) == 3
    finish_one(database)
    assert sorted(step.name for step in steps_of(database, job)[3:]) == ["local:b@64", "local:c@64"]


def test_a_race_ends_with_its_pick_and_is_read_while_it_runs(database):
    job = submit_race(database)
    for _ in range(3):
        finish_one(database)
    partial = result_of(database, job)
    assert partial["status"] == Status.RUNNING
    assert sorted(partial["budget"]["inside"]) == ["local:b", "local:c"]
    assert [stage["examples"] for stage in partial["budget"]["stages"]] == [32, 64]
    assert sorted(partial["budget"]["stages"][1]["waiting"]) == ["local:b", "local:c"]
    assert [each["cause"] for each in partial["budget"]["stages"][0]["left"]] == ["improbable"]
    while finish_one(database) is not None:
        pass
    row = job_row(database, job)
    assert row is not None
    assert row.status == Status.SUCCEEDED
    ranking = result_of(database, job)
    assert ranking["budget"]["pick"] == "local:b" == ranking["ranking"][0]["checkpoint"]
    assert [line["examples"] for line in ranking["ranking"]] == [100, 100, 32]
    assert ranking["budget"]["spent"] == pytest.approx((2 * 100 + 32) / 300)


def test_a_step_done_again_after_its_worker_died_changes_nothing(database):
    job = submit_race(database)
    names = []
    while (claimed := claim(database)) is not None:
        if claimed.attempt == 1:  # every worker dies once, in each round
            assert apply(database, lifecycle.give_up_attempt, claimed, "runner_crashed", "killed")
            continue
        names.append(claimed.name)
        assert apply(database, lifecycle.succeed_step, claimed, answer(claimed.name))
    undisturbed = submit_race(database, budget="100.0%")
    while finish_one(database) is not None:
        pass
    first, second = result_of(database, job), result_of(database, undisturbed)
    assert first["budget"] == second["budget"]
    assert len(names) == len(set(names)) == len(steps_of(database, undisturbed))


def test_the_step_of_a_checkpoint_that_fails_is_planned_around(database):
    job = submit_race(database)
    claimed = claim(database)
    assert claimed is not None
    apply(database, lifecycle.fail_step, claimed, "checkpoint_unreadable", "cut off")
    while finish_one(database) is not None:
        pass
    ranking = result_of(database, job)
    assert ranking["skipped"] == [{"checkpoint": "local:a", "code": "checkpoint_unreadable", "reason": "cut off"}]
    assert ranking["budget"]["pick"] == "local:b"


def test_a_shortlist_rests_on_the_results_of_the_prevailing_protocol(database):
    rows = [
        PastResult(model=model, dataset=dataset, accuracy=accuracy, protocol="full")
        for dataset in ("one", "two", "three", "four")
        for model, accuracy in (("a", 0.5), ("b", 0.7), ("c", 0.9))
    ]
    other = [PastResult(model="a", dataset="one", accuracy=1.0, protocol="probe")]
    with database.write_transaction() as session:
        assert prevailing_history(session) is None
        import_results(session, [*rows, *other])
        history = prevailing_history(session)
    assert history is not None
    found = expectations_of([description(name) for name in "abc"], REPORT, history, "logme").checkpoints
    assert found["local:a"].mean < found["local:b"].mean < found["local:c"].mean


def adapted(accuracy: float, epochs: int = 6) -> str:
    """What a step says that has adapted a checkpoint."""
    return VerificationOutput(
        accuracy=Interval(value=accuracy, low=0.0, high=1.0), log_loss=1.0, held_out=50, train_examples=50, classes=2,
        epochs=epochs, learning_rate=0.001, ended="completed" if epochs == 6 else None, seconds=1.0,
    ).model_dump_json()  # fmt: skip


def test_after_the_readings_the_first_few_are_adapted_in_steps_of_their_own(database):
    new_job(database)
    plan = Plan(checkpoints=tuple(description(name) for name in "abc"), skipped=())
    reference = DatasetReference.of(Path("/data"), REPORT, DatasetOptions())
    settings, store = Settings(home=Path("/home")), FolderStore(Path("/home"))
    asked = ranking_job(RankingRequest(verify=3), reference, plan, settings, store)
    with database.write_transaction() as session:
        job = lifecycle.submit(session, asked, Terms(max_attempts=2)).job.id
    reached = {"local:a": 0.9, "local:b": 0.7, "local:c": 0.8}
    while (claimed := claim(database)) is not None:
        checkpoint, _, epochs = claimed.name.partition("@")
        said = adapted(reached[checkpoint], int(epochs[0])) if epochs else answer(f"{checkpoint}@100")
        assert apply(database, lifecycle.succeed_step, claimed, said)
    names = [step.name for step in steps_of(database, job)]
    assert names[:3] == ["local:a", "local:b", "local:c"]
    assert sorted(names[3:6]) == ["local:a@2epochs", "local:b@2epochs", "local:c@2epochs"]
    assert names[6:] == ["local:a@6epochs", "local:c@6epochs"]
    ranking = result_of(database, job)
    assert ranking["status"] == Status.SUCCEEDED
    # By LogME b was the first; it left after two epochs.
    assert [line["checkpoint"] for line in ranking["ranking"]] == ["local:a", "local:c", "local:b"]
    assert ranking["verification"]["pick"] == "local:a"
    assert [stage["epochs"] for stage in ranking["verification"]["stages"]] == [2, 6]
    assert [each["checkpoint"] for each in ranking["verification"]["stages"][0]["left"]] == ["local:b"]
    with database.read_transaction() as session:
        known = {result.model: result for result in past_results(session)}
    assert {name: result.accuracy for name, result in known.items()} == {"local:a": 0.9, "local:c": 0.8}
    assert known["local:a"].protocol == "finetune, epochs 6, examples 640, measured on validation (0.5)"


def test_those_who_watch_are_told_once_of_each_stage_that_is_over(database):
    job = submit_race(database)
    while finish_one(database) is not None:
        pass
    with database.read_transaction() as session:
        told = [
            row.data
            for row in session.query(EventRow).filter_by(job_id=job, type="job.stage").order_by(EventRow.number)
        ]
    assert [each["number"] for each in told] == [1, 2, 3]
    assert [each["stage"] for each in told] == result_of(database, job)["budget"]["stages"]


def test_steps_are_known_by_their_names(database):
    job = submit_race(database)
    with database.read_transaction() as session:
        state = state_of(session, session.get_one(JobRow, job))
        for step in (
            Reading("local:a@b", 64),
            Trial("local:a", 2),
            Trial("local:a", 2, 1),
            Trial("local:a@2epochs", 6),
        ):
            assert step_of(name_of(step, in_rounds=True), state) == step
    assert name_of(Trial("local:a", 2, 1), in_rounds=True) == "local:a@2epochs+1"
