"""A ranking job without files: rows as a request would write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frontrunner.data import DatasetOptions, DatasetReference, DatasetReport
from frontrunner.data.report import ClassCount
from frontrunner.hub import CheckpointDescription
from frontrunner.progress import Stage
from frontrunner.ranking import Plan, RankingRequest
from frontrunner.settings import Settings
from frontrunner.store import open_store
from jobs import lifecycle
from jobs.kinds import NewJob
from jobs.kinds.ranking import ranking_job
from jobs.records import result_json
from models import Database, DatasetRow, EventRow, JobRow, StepRow

DIGEST = "d" * 64


def description(name: str, parameters: int = 1000) -> CheckpointDescription:
    return CheckpointDescription(
        id=f"local:{name}",
        library="timm",
        modality="image",
        architecture="test",
        digest=name * 8,
        preprocessing_digest="p",
        parameters=parameters,
        bytes=1,
        path="/nowhere",
    )


REPORT = DatasetReport(
    digest=DIGEST,
    name="data.zip",
    format="zip",
    modality="image",
    task="classification",
    train_examples=100,
    test_examples=0,
    classes=[ClassCount(name="a", train=50, test=0), ClassCount(name="b", train=50, test=0)],
    targets={},
    bytes=1,
    widths=None,
    heights=None,
    lengths=None,
    feature_sets=[],
    unreadable=[],
    class_count=2,
    duplicates=[],
    duplicate_groups=0,
    leaked_duplicates=0,
    single_example_classes=[],
    warnings=[],
)


def new_job(database: Database, names: tuple[str, ...] = ("a", "b", "c"), queue: str = "cpu", seed: int = 0) -> NewJob:
    """A ranking of one step a name, of a dataset that is written."""
    plan = Plan(checkpoints=tuple(description(name) for name in names), skipped=())
    reference = DatasetReference.of(Path("/data"), REPORT, DatasetOptions())
    with database.write_transaction() as session:
        session.merge(
            DatasetRow(
                id=reference.id,
                digest=DIGEST,
                name="data.zip",
                blob=DIGEST,
                bytes=1,
                options={},
                report=REPORT.model_dump(mode="json"),
            )
        )
    settings = Settings(home=Path("/home"), forward_queue=queue)
    return ranking_job(RankingRequest(seed=seed), reference, plan, settings, open_store(settings))


def submit(
    database: Database,
    names: tuple[str, ...] = ("a", "b", "c"),
    *,
    queue: str = "cpu",
    seed: int = 0,
    max_attempts: int = 2,
    **terms: Any,
) -> str:
    """Write a job of one step a name; its id."""
    new = new_job(database, names, queue, seed)
    with database.write_transaction() as session:
        return lifecycle.submit(session, new, lifecycle.Terms(max_attempts=max_attempts, **terms)).job.id


def steps_of(database: Database, job_id: str) -> list[StepRow]:
    """The job's steps in order."""
    with database.read_transaction() as session:
        return session.query(StepRow).filter_by(job_id=job_id).order_by(StepRow.ordinal).all()


def output(value: float) -> str:
    """What the runner of a finished step says."""
    said = {
        "scores": {"logme": {"value": value}},
        "examples": 10,
        "forward_examples": 10,
        "feature_dimension": 4,
        "feature_key": "k",
        "feature_bytes": 1,
        "seconds": 0.1,
        "scoring_seconds": 0.0,
    }
    return json.dumps(said)


LEASE_S = 30.0


def claim(
    database: Database, queues: tuple[str, ...] = ("cpu", "gpu", "io"), lease_s: float = LEASE_S
) -> lifecycle.Claim | None:
    """Claim the best step."""
    with database.write_transaction() as session:
        return lifecycle.claim_best(session, queues, lease_s)


def apply(database: Database, function: Callable[..., Any], *arguments: Any) -> Any:
    """Do one operation in one transaction."""
    with database.write_transaction() as session:
        return function(session, *arguments)


def job_row(database: Database, job_id: str) -> JobRow | None:
    """The job's row."""
    with database.read_transaction() as session:
        return session.get(JobRow, job_id)


def result_of(database: Database, job_id: str) -> dict[str, Any]:
    """The job's result as it stands."""
    with database.read_transaction() as session:
        return json.loads(result_json(session, lifecycle.find_job(session, job_id)))


def stored_result(database: Database, job_id: str) -> Any:
    """The result that the job's row keeps; None while it runs."""
    row = job_row(database, job_id)
    return None if row is None or row.result is None else json.loads(row.result)


READ_5 = lifecycle.StepProgress(Stage.READ, done=5, total=100)


def events_of(database: Database, job_id: str) -> list[str]:
    """The types of the job's events, in order."""
    with database.read_transaction() as session:
        return [row.type for row in session.query(EventRow).filter_by(job_id=job_id).order_by(EventRow.number)]
