"""What a ranking's job stores about itself: the request, and everything that was settled when it was submitted."""

from __future__ import annotations

from pydantic import BaseModel

from frontrunner.data import DatasetReference
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking import Expectations, Plan, RankingRequest, SourceReference, SourceStore
from frontrunner.settings import Settings
from frontrunner.store import Store
from frontrunner.tuning import TuningRequest
from jobs.kinds.kind import NewJob


class TuningToFollow(BaseModel):
    """A tuning that begins with the best checkpoints of a ranking as soon as that is over.

    Attributes:
        request: the tuning, without its teachers.
        top: how many of the ranked checkpoints it takes.
    """

    request: TuningRequest
    top: int


class Candidate(BaseModel):
    """A checkpoint that is to be ranked, and the statistics of its source dataset where they are known."""

    checkpoint: CheckpointDescription
    source: SourceReference | None


class RankingJob(BaseModel):
    """A ranking as its job stores it.

    Attributes:
        request: what was asked for.
        dataset: where runners find the dataset.
        candidates: what is ranked, the smallest first.
        skipped: what was left out at once.
        queue: where steps that run models wait.
        then: the tuning that is to follow.
        expectations: what is believed of candidates before any pass, where a budget is to be shared among them.
        examples_a_step: larger samples are read in parts; None: never.
    """

    request: RankingRequest
    dataset: DatasetReference
    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedCheckpoint, ...]
    queue: str
    then: TuningToFollow | None
    expectations: Expectations = Expectations()
    examples_a_step: int | None = None


def ranking_job(
    request: RankingRequest,
    dataset: DatasetReference,
    plan: Plan,
    settings: Settings,
    store: Store,
    then: TuningToFollow | None = None,
    expectations: Expectations | None = None,
) -> NewJob:
    """The job of a ranking.

    Args:
        request: what was asked for.
        dataset: where runners find the dataset.
        plan: which checkpoints are ranked and which are not.
        settings: which queue runs models, and what a step reads at most.
        store: where source statistics are.
        then: the tuning that is to follow.
        expectations: what is believed of checkpoints before any pass, for a budget.
    """
    sources = SourceStore(store).find_all(checkpoint.digest for checkpoint in plan.checkpoints)
    job = RankingJob(
        request=request,
        dataset=dataset,
        candidates=tuple(Candidate(checkpoint=c, source=sources.get(c.digest)) for c in plan.checkpoints),
        skipped=plan.skipped,
        queue=settings.forward_queue,
        then=then,
        expectations=expectations or Expectations(),
        examples_a_step=settings.examples_a_step,
    )
    return NewJob("ranking", job, dataset.id)
