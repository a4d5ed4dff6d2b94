"""Rankings: a step is one checkpoint on one dataset, the result orders them by their first score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.data import DatasetReport, dataset_id
from frontrunner.errors import NothingRanked
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking import (
    Plan,
    Ranking,
    RankingPayload,
    RankingRequest,
    StepOutput,
    assemble,
    nothing_ranked_reason,
)
from frontrunner.status import Failure
from frontrunner.tuning import TuningRequest, take_best, tuning_payload
from jobs.catalogue import store_cost
from jobs.kinds.kind import Counts, JobState, NewJob, NewStep, StepState
from jobs.kinds.tuning import tuning_job
from models.base import database_now
from models.dataset import DatasetRow
from models.feature import FeatureRow
from models.score import ScoreRow

# Where a job's request keeps what is to follow on the ranking: two requests that differ in it are not the same work.
_THEN = "then"


class TuningToFollow(BaseModel):
    """A tuning that begins with the best checkpoints of a ranking as soon as that is over."""

    request: TuningRequest
    top: int
    folder: Path
    forward_queue: str


def ranking_job(
    dataset: DatasetRow,
    request: RankingRequest,
    planned: Plan,
    orders: Sequence[RankingPayload],
    *,
    forward_queue: str,
    then: TuningToFollow | None = None,
) -> NewJob:
    """The job of a ranking: a step for each order. Features that the dataset brings need no model: they go to `io`."""
    report = DatasetReport.model_validate(dataset.report)
    return NewJob(
        kind=RankingKind.name,
        request=request.model_dump(mode="json") | ({} if then is None else {_THEN: then.model_dump(mode="json")}),
        plan={"skipped": [entry.model_dump(mode="json") for entry in planned.skipped]},
        steps=tuple(
            NewStep(
                name=order.checkpoint.id,
                order=order.model_dump(mode="json"),
                queue="io" if order.checkpoint.modality == "features" else forward_queue,
                examples_total=min(order.max_examples, report.train_examples),
                dataset_digests=(dataset.digest,),
            )
            for order in orders
        ),
        dataset_id=dataset.id,
    )


class RankingKind:
    """See `JobKind`. A step's name is its checkpoint's id; the plan holds the checkpoints skipped at submission."""

    name = "ranking"
    folder_of = None

    def result_url(self, job_id: str) -> str:
        """See `JobKind`."""
        return f"/v1/rankings/{job_id}"

    def failure(self, job: JobState) -> Failure | None:
        """A ranking of nothing has failed; one that lacks some checkpoints has not."""
        if any(step.output is not None for step in job.steps):
            return None
        skipped = [*_skipped(job), *(o for o in _outcomes(job).values() if isinstance(o, SkippedCheckpoint))]
        return Failure(code=NothingRanked.code, reason=nothing_ranked_reason(skipped))

    def result(self, job: JobState) -> Ranking:
        """See `JobKind`."""
        assert job.report is not None  # noqa: S101 - a ranking is submitted with a dataset
        planned = Plan(
            steps=tuple(CheckpointDescription.model_validate(step.order["checkpoint"]) for step in job.steps),
            skipped=tuple(_skipped(job)),
        )
        request = RankingRequest.model_validate({k: v for k, v in job.request.items() if k != _THEN})
        ranking = assemble(job.id, job.status, request, job.report, planned, _outcomes(job))
        return ranking.model_copy(update={"failure": job.failure})

    def next_job(self, job: JobState) -> NewJob | None:
        """The tuning that was asked to follow, with the best of the ranking's checkpoints."""
        if _THEN not in job.request:
            return None
        assert job.report is not None  # noqa: S101 - a ranking is submitted with a dataset
        then = TuningToFollow.model_validate(job.request[_THEN])
        orders = [RankingPayload.model_validate(step.order) for step in job.steps]
        known = {order.checkpoint.id: order.checkpoint for order in orders}
        ranked = [known[line.checkpoint] for line in self.result(job).ranking]
        request = take_best(then.request, ranked, then.top)
        order = tuning_payload(request, orders[0].dataset, known, then.folder)
        return tuning_job(
            order, dataset_id(job.report.digest), job.report.train_examples, forward_queue=then.forward_queue
        )

    def record(self, session: Session, job_id: str, step: StepState) -> Counts:
        """Scores as rows, and the features as used now."""
        order = RankingPayload.model_validate(step.order)
        output = StepOutput.model_validate(step.output)
        for name, score in output.scores.items():
            row = ScoreRow(job_id=job_id, checkpoint_id=order.checkpoint.id, name=name)
            row.value, row.low, row.high = score.value, score.low, score.high
            session.merge(row)
        session.merge(
            FeatureRow(
                key=output.feature_key,
                checkpoint_digest=order.checkpoint.digest,
                dataset_digest=order.dataset.digest,
                examples=output.examples,
                dimension=output.feature_dimension,
                bytes=output.feature_bytes,
                last_used_at=session.scalar(select(database_now())),
            )
        )
        if output.reading_cost is not None:
            store_cost(session, order.checkpoint.digest, output.reading_cost)
        return {
            ("forward_examples", self.name): output.forward_examples,
            ("cached_examples", self.name): output.examples - output.forward_examples,
        }


def _skipped(job: JobState) -> list[SkippedCheckpoint]:
    return [SkippedCheckpoint.model_validate(entry) for entry in job.plan["skipped"]]


def _outcomes(job: JobState) -> Mapping[str, StepOutput | SkippedCheckpoint]:
    outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
    for step in job.steps:
        if step.output is not None:
            outcomes[step.name] = StepOutput.model_validate(step.output)
        elif step.status.is_terminal:
            outcomes[step.name] = SkippedCheckpoint(
                checkpoint=step.name,
                code=step.error_code or "cancelled",
                reason=step.error_reason or "the job was cancelled before this checkpoint was read",
            )
    return outcomes
