"""The ranking's planner, its result, and what each accepted step leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from frontrunner.errors import NothingRanked
from frontrunner.hub import SkippedCheckpoint
from frontrunner.progress import Progress, Stage
from frontrunner.ranking import (
    Plan,
    Ranking,
    RankingPayload,
    StepOutput,
    assemble,
    nothing_ranked_reason,
    ranking_payload,
    run_step,
)
from frontrunner.status import Failure
from frontrunner.tuning import take_best, tuning_payload
from jobs.kinds.kind import Counts, JobKind, JobState, NewJob, NewStep
from jobs.kinds.ranking.request import RankingJob
from jobs.kinds.tuning import tuning_job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_State: TypeAlias = JobState[RankingJob, RankingPayload, StepOutput]


class RankingKind(JobKind[RankingJob, RankingPayload, StepOutput]):
    """A step's name is its checkpoint's id. Features that the dataset brings need no model: they go to `io`."""

    name = "ranking"
    request = RankingJob
    payload = RankingPayload
    output = StepOutput
    counted = frozenset({Stage.READ})

    def result_url(self, job_id: str) -> str:
        """The ranking."""
        return f"/v1/rankings/{job_id}"

    def next_steps(self, job: _State) -> Sequence[NewStep[RankingPayload]] | Ranking:
        """One step for each checkpoint, then the result; a ranking of nothing has failed."""
        if job.is_in_hand:
            return ()
        if not job.steps:
            return self._first_steps(job)
        ranking = self.result(job)
        if any(step.output is not None for step in job.steps):
            return ranking
        failure = Failure(code=NothingRanked.code, reason=nothing_ranked_reason(ranking.skipped))
        return ranking.model_copy(update={"failure": failure})

    def result(self, job: _State) -> Ranking:
        """The checkpoints that are read so far, best first."""
        asked = job.request
        plan = Plan(tuple(candidate.checkpoint for candidate in asked.candidates), asked.skipped)
        ranking = assemble(job.id, job.status, asked.request, job.report, plan, _outcomes(job))
        return ranking.model_copy(update={"failure": job.failure})

    def run(self, payload: RankingPayload, progress: Progress) -> StepOutput:
        """Read the checkpoint's features of the dataset and score them."""
        return run_step(payload, progress)

    def next_job(self, job: _State) -> NewJob | None:
        """The tuning that was asked to follow, with the best of the ranking's checkpoints."""
        asked = job.request
        if asked.then is None:
            return None
        known = {candidate.checkpoint.id: candidate.checkpoint for candidate in asked.candidates}
        ranked = [known[line.checkpoint] for line in self.result(job).ranking]
        request = take_best(asked.then.request, ranked, asked.then.top)
        payload = tuning_payload(request, asked.dataset, known)
        return tuning_job(payload, asked.dataset.id, job.report.train_examples, asked.queue)

    def record(self, session: Session, job_id: str, payload: RankingPayload, output: StepOutput) -> Counts:
        """The features as used now, what reading took, and how many examples were read or cached."""
        from jobs.kinds.ranking.record import record_step  # a runner needs no tables

        record_step(session, payload, output)
        return {
            ("forward_examples", self.name): output.forward_examples,
            ("cached_examples", self.name): output.examples - output.forward_examples,
        }

    def _first_steps(self, job: _State) -> list[NewStep[RankingPayload]]:
        asked = job.request
        examples = min(asked.request.max_examples, job.report.train_examples)
        return [
            NewStep(
                name=candidate.checkpoint.id,
                payload=ranking_payload(asked.request, asked.dataset, candidate.checkpoint, candidate.source),
                queue="io" if candidate.checkpoint.modality == "features" else asked.queue,
                examples_total=examples,
                dataset_digests=(asked.dataset.digest,),
            )
            for candidate in asked.candidates
        ]


KIND = RankingKind()


def _outcomes(job: _State) -> Mapping[str, StepOutput | SkippedCheckpoint]:
    outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
    for step in job.steps:
        if step.output is not None:
            outcomes[step.name] = step.output
        elif step.status.is_terminal:
            failure = step.failure or Failure(
                code="cancelled", reason="the job was cancelled before this checkpoint was read"
            )
            outcomes[step.name] = SkippedCheckpoint(checkpoint=step.name, code=failure.code, reason=failure.reason)
    return outcomes
