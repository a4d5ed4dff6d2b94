"""A large sample is read in parts by steps of their own; the step that scores follows when all of them are over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.extraction import SHARD_SIZE
from frontrunner.ranking import Plan, RankingPayload, RankingRequest
from frontrunner.settings import Settings
from frontrunner.status import Status
from frontrunner.store import FolderStore
from jobs import lifecycle
from jobs.kinds.ranking import ranking_job
from jobs.kinds.ranking.parts import divided
from jobs.lifecycle import Terms
from models import DatasetRow
from tests.jobs.rows import REPORT, apply, claim, description, job_row, new_job, output, result_of, steps_of

LARGE = REPORT.model_copy(update={"train_examples": 700})


def submit(database, names="ab", examples_a_step=300, max_attempts=1, **asked):
    new_job(database)  # writes the dataset
    with database.write_transaction() as session:
        session.query(DatasetRow).one().report = LARGE.model_dump(mode="json")
    plan = Plan(checkpoints=tuple(description(name) for name in names), skipped=())
    reference = DatasetReference.of(Path("/data"), LARGE, DatasetOptions())
    settings, store = Settings(home=Path("/home"), examples_a_step=examples_a_step), FolderStore(Path("/home"))
    job = ranking_job(RankingRequest(max_examples=1000, **asked), reference, plan, settings, store)
    return apply(database, lambda session: lifecycle.submit(session, job, Terms(max_attempts=max_attempts)).job.id)


def part(examples):
    return json.dumps(json.loads(output(0.0)) | {"scores": {}, "examples": examples, "forward_examples": examples})


def whole(value):
    return json.dumps(json.loads(output(value)) | {"examples": 700, "forward_examples": 0})


def test_a_small_sample_is_one_step(database):
    job = submit(database, examples_a_step=700)
    assert [step.name for step in steps_of(database, job)] == ["local:a", "local:b"]


def test_parts_are_whole_shards_and_the_scoring_step_knows_them(database):
    job = submit(database, names="a")
    steps = steps_of(database, job)
    assert [step.name for step in steps] == ["local:a[0:256]", "local:a[256:512]", "local:a[512:700]"]
    assert [step.examples_total for step in steps] == [256, 256, 188]
    assert RankingPayload.model_validate_json(steps[1].payload).rows == (256, 512)
    for step in steps:
        assert len(steps_of(database, job)) == 3
        apply(database, lifecycle.succeed_step, claim(database), part(step.examples_total))
    scoring = steps_of(database, job)[3]
    assert scoring.examples_total == 0, "the parts have counted them"
    payload = RankingPayload.model_validate_json(scoring.payload)
    assert (scoring.name, payload.rows) == ("local:a", None)
    assert payload.parts == ((0, 256), (256, 512), (512, 700))
    apply(database, lifecycle.succeed_step, claim(database), whole(0.5))
    row = job_row(database, job)
    assert row.status == Status.SUCCEEDED
    (line,) = json.loads(row.result)["ranking"]
    assert line["scores"]["logme"]["value"] == 0.5
    assert line["seconds"] == 0.1 * 4


def test_a_checkpoint_is_scored_while_parts_of_others_are_still_read(database):
    job = submit(database)
    for examples in (256, 256, 188):
        apply(database, lifecycle.succeed_step, claim(database), part(examples))
    names = [step.name for step in steps_of(database, job) if step.status == Status.QUEUED]
    assert names == ["local:b[0:256]", "local:b[256:512]", "local:b[512:700]", "local:a"]


def test_a_part_that_failed_is_left_to_the_scoring_step_and_its_reason_is_the_answer(database):
    job = submit(database, names="ab", examples_a_step=512)
    apply(database, lifecycle.fail_step, claim(database), "checkpoint_unreadable", "no layer")
    apply(database, lifecycle.succeed_step, claim(database), part(188))
    while (claimed := claim(database)) is not None:
        if claimed.name == "local:a":
            apply(database, lifecycle.fail_step, claimed, "checkpoint_unreadable", "no layer")
        else:
            apply(database, lifecycle.succeed_step, claimed, whole(0.5) if claimed.name == "local:b" else part(512))
    result = result_of(database, job)
    assert [line["checkpoint"] for line in result["ranking"]] == ["local:b"]
    assert [(skip["checkpoint"], skip["reason"]) for skip in result["skipped"]] == [("local:a", "no layer")]


def test_a_race_reads_its_rounds_in_parts(database):
    job = submit(database, names="ab", examples_a_step=256, budget="100%")
    done = []
    while (claimed := claim(database)) is not None:
        done.append(claimed.name)
        said = part(100) if "[" in claimed.name else whole(0.5)
        apply(database, lifecycle.succeed_step, claimed, said)
    assert job_row(database, job).status == Status.SUCCEEDED
    assert {"local:a@700[512:700]", "local:a@700"} <= set(done)
    assert done.index("local:a@700[512:700]") < done.index("local:a@700")


def test_a_job_that_is_cancelled_while_parts_are_read_says_so(database):
    job = submit(database, names="a")
    claimed = claim(database)
    apply(database, lifecycle.cancel_job, job)
    apply(database, lifecycle.cancel_step, claimed)
    assert job_row(database, job).status == Status.CANCELLED
    assert [skip["code"] for skip in result_of(database, job)["skipped"]] == ["cancelled"]


@pytest.mark.parametrize(("checkpoints", "parts"), [(1, 62), (16, 62), (64, 16), (1024, 0), (10_000, 0)])
def test_the_more_checkpoints_a_job_has_the_larger_are_its_parts(checkpoints, parts):
    found = divided(1_000_000, 16_384, checkpoints)
    assert len(found) == parts
    assert [first for first, _ in found] == [0, *(last for _, last in found)][: len(found)]
    assert all(first % SHARD_SIZE == 0 for first, _ in found)
