"""The ranking's planner, its result, and what each accepted step leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from frontrunner.errors import NothingRanked
from frontrunner.hub import SkippedCheckpoint
from frontrunner.progress import Progress, Stage
from frontrunner.ranking import (
    Plan,
    Race,
    Ranking,
    RankingPayload,
    Reading,
    StepOutput,
    assemble,
    nothing_ranked_reason,
    race_of,
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
    """A step's name is its checkpoint's id; in a race for a budget, with the examples that it reads: `ID@64`.

    Features that the dataset brings need no model: they go to `io`.
    """

    name = "ranking"
    request = RankingJob
    payload = RankingPayload
    output = StepOutput
    counted = frozenset({Stage.READ})

    def result_url(self, job_id: str) -> str:
        """The ranking."""
        return f"/v1/rankings/{job_id}"

    def next_steps(self, job: _State) -> Sequence[NewStep[RankingPayload]] | Ranking:
        """One step for each checkpoint, or for each in a race's round; then the result, which may be a failure."""
        if job.is_in_hand:
            return ()
        race = _race(job)
        if race is not None and (following := race.standing(_results(job)).next):
            return self._steps(job, following, as_rounds=True)
        if not job.steps:
            every = [Reading(found.checkpoint.id, job.request.request.max_examples) for found in job.request.candidates]
            return self._steps(job, every, as_rounds=False)
        ranking = self.result(job)
        if any(step.output is not None for step in job.steps):
            return ranking
        failure = Failure(code=NothingRanked.code, reason=nothing_ranked_reason(ranking.skipped))
        return ranking.model_copy(update={"failure": failure})

    def result(self, job: _State) -> Ranking:
        """The checkpoints that are read so far, best first."""
        asked = job.request
        plan = Plan(tuple(candidate.checkpoint for candidate in asked.candidates), asked.skipped)
        race = _race(job)
        if race is None:
            outcomes, spent = {name: outcome for (name, _), outcome in _results(job).items()}, None
        else:
            standing = race.standing(_results(job))
            outcomes, spent = standing.outcomes, standing.report
        ranking = assemble(job.id, job.status, asked.request, job.report, plan, outcomes, spent)
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

    def _steps(self, job: _State, readings: Sequence[Reading], *, as_rounds: bool) -> list[NewStep[RankingPayload]]:
        asked = job.request
        candidates = {found.checkpoint.id: found for found in asked.candidates}
        steps = []
        for reading in readings:
            found = candidates[reading.checkpoint]
            payload = ranking_payload(asked.request, asked.dataset, found.checkpoint, found.source, reading.examples)
            steps.append(
                NewStep(
                    name=f"{reading.checkpoint}@{reading.examples}" if as_rounds else reading.checkpoint,
                    payload=payload,
                    queue="io" if found.checkpoint.modality == "features" else asked.queue,
                    examples_total=min(reading.examples, job.report.train_examples),
                    dataset_digests=(asked.dataset.digest,),
                )
            )
        return steps


KIND = RankingKind()


def _race(job: _State) -> Race | None:
    asked = job.request
    candidates = [found.checkpoint for found in asked.candidates]
    return race_of(asked.request, job.report, candidates, asked.expectations)


def _results(job: _State) -> dict[Reading, StepOutput | SkippedCheckpoint]:
    results: dict[Reading, StepOutput | SkippedCheckpoint] = {}
    in_rounds = job.request.request.budget is not None
    for step in job.steps:
        checkpoint, _, examples = step.name.rpartition("@") if in_rounds else (step.name, "", "0")
        reading = Reading(checkpoint, int(examples))
        if step.output is not None:
            results[reading] = step.output
        elif step.status.is_terminal:
            failure = step.failure or Failure(
                code="cancelled", reason="the job was cancelled before this checkpoint was read"
            )
            results[reading] = SkippedCheckpoint(checkpoint=checkpoint, code=failure.code, reason=failure.reason)
    return results
