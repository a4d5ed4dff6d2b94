"""A ranking job without files: rows as a request would write them."""

from __future__ import annotations

from pathlib import Path

from frontrunner.data import DatasetOptions, DatasetReport
from frontrunner.data.report import ClassCount
from frontrunner.hub import CheckpointDescription
from frontrunner.ranking import DatasetReference, Plan, RankingRequest, ScoreOutput, StepOrder, StepOutput
from models import Database, DatasetRow, StepRow, lifecycle

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
    unreadable=[],
    duplicates=[],
    duplicate_groups=0,
    leaked_duplicates=0,
    single_example_classes=[],
    warnings=[],
)


def submit(database: Database, names: tuple[str, ...] = ("a", "b", "c"), max_attempts: int = 2) -> str:
    """Write a job of one step a name; its id."""
    request = RankingRequest()
    planned = Plan(steps=tuple(description(name) for name in names), skipped=())
    orders = [
        StepOrder(
            dataset=DatasetReference.of(Path("/data"), REPORT, DatasetOptions()),
            checkpoint=checkpoint,
            scores=request.scores,
            max_examples=10,
            seed=0,
            cache=Path("/cache"),
        )
        for checkpoint in planned.steps
    ]
    with database.writing() as session:
        dataset = session.merge(
            DatasetRow(
                id="ds_" + DIGEST[:32],
                digest=DIGEST,
                name="data.zip",
                blob=DIGEST,
                bytes=1,
                options={},
                report=REPORT.model_dump(mode="json"),
            )
        )
        return lifecycle.submit_ranking(
            session,
            dataset,
            request,
            planned,
            orders,
            train_examples=100,
            max_attempts=max_attempts,
            first_ring_s=0.0,
        ).id


def steps_of(database: Database, job_id: str) -> list[StepRow]:
    """The job's steps in order."""
    with database.reading() as session:
        return session.query(StepRow).filter_by(job_id=job_id).order_by(StepRow.ordinal).all()


def output(value: float) -> StepOutput:
    """What a finished step says."""
    return StepOutput(
        scores={"logme": ScoreOutput(value=value)},
        examples=10,
        forward_examples=10,
        feature_dimension=4,
        feature_key="k",
        feature_bytes=1,
        seconds=0.1,
        scoring_seconds=0.0,
    )
