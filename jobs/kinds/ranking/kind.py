"""The ranking's planner, its result, and what each accepted step leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from frontrunner.errors import NothingRanked
from frontrunner.extraction import Rows
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
from frontrunner.status import Failure, Status
from frontrunner.tuning import take_best, tuning_payload
from jobs.kinds.kind import Counts, JobKind, JobState, NewJob, NewStep
from jobs.kinds.ranking.parts import divided, part_name, parts_by_whole, whole_name, with_parts
from jobs.kinds.ranking.request import RankingJob
from jobs.kinds.tuning import tuning_job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_State: TypeAlias = JobState[RankingJob, RankingPayload, StepOutput]


class RankingKind(JobKind[RankingJob, RankingPayload, StepOutput]):
    """A step's name is its checkpoint's id; in a race for a budget, with the examples that it reads: `ID@64`.

    A large sample is read in parts by steps of their own, see `jobs.kinds.ranking.parts`; the step that scores follows
    when all of them are over. What one of them could not read it reads itself, or says why it cannot.

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
        """The steps of each checkpoint, or of each in a race's round; then the result, which may be a failure."""
        if read := _read_in_parts(job):
            return self._steps(job, read, are_read=True)
        if job.is_in_hand:
            return ()
        race = _race(job)
        following: Sequence[Reading] = ()
        if race is not None:
            following = race.standing(_results(job)).next
        elif not job.steps:
            following = [
                Reading(found.checkpoint.id, job.request.request.max_examples) for found in job.request.candidates
            ]
        if following:
            return self._steps(job, following)
        ranking = self.result(job)
        if any(isinstance(result, StepOutput) for result in _results(job).values()):
            return ranking
        failure = Failure(code=NothingRanked.code, reason=nothing_ranked_reason(ranking.skipped))
        return ranking.model_copy(update={"failure": failure})

    def result(self, job: _State) -> Ranking:
        """The checkpoints that are read so far, best first."""
        asked = job.request
        plan = Plan(tuple(candidate.checkpoint for candidate in asked.candidates), asked.skipped)
        race = _race(job)
        if race is None:
            outcomes, spent = {reading.checkpoint: outcome for reading, outcome in _results(job).items()}, None
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
        counted_before = bool(payload.parts) and payload.rows is None
        return {
            ("forward_examples", self.name): output.forward_examples,
            # What steps of their own have read is counted there.
            ("cached_examples", self.name): 0 if counted_before else output.examples - output.forward_examples,
        }

    def _steps(
        self, job: _State, readings: Sequence[Reading], *, are_read: bool = False
    ) -> list[NewStep[RankingPayload]]:
        """The step that scores each reading, or those that read its parts first."""
        asked = job.request
        candidates = {found.checkpoint.id: found for found in asked.candidates}
        steps = []
        for reading in readings:
            found = candidates[reading.checkpoint]
            examples = min(reading.examples, job.report.train_examples)
            parts = divided(examples, asked.examples_a_step, len(asked.candidates))
            whole = NewStep(
                name=reading.checkpoint if asked.request.budget is None else f"{reading.checkpoint}@{reading.examples}",
                payload=ranking_payload(
                    asked.request, asked.dataset, found.checkpoint, found.source, reading.examples, parts
                ),
                queue="io" if found.checkpoint.modality == "features" else asked.queue,
                examples_total=examples,
                dataset_digests=(asked.dataset.digest,),
            )
            steps += [whole] if are_read or not parts else [_part(whole, rows) for rows in parts]
        return steps


KIND = RankingKind()


def _race(job: _State) -> Race | None:
    asked = job.request
    candidates = [found.checkpoint for found in asked.candidates]
    return race_of(asked.request, job.report, candidates, asked.expectations)


def _part(whole: NewStep[RankingPayload], rows: Rows) -> NewStep[RankingPayload]:
    payload = whole.payload.model_copy(update={"rows": rows})
    return replace(whole, name=part_name(whole.name, rows), payload=payload, examples_total=rows[1] - rows[0])


def _reading(job: _State, name: str) -> Reading:
    """What the scoring step `name` is about."""
    if job.request.request.budget is None:
        return Reading(name, job.request.request.max_examples)
    checkpoint, _, examples = name.rpartition("@")
    return Reading(checkpoint, int(examples))


def _read_in_parts(job: _State) -> list[Reading]:
    """What is read, every part of it, and has no scoring step yet."""
    names = {step.name for step in job.steps}
    return [
        _reading(job, whole)
        for whole, parts in parts_by_whole(job.steps).items()
        if whole not in names and all(part.status.is_terminal for part in parts)
    ]


def _results(job: _State) -> dict[Reading, StepOutput | SkippedCheckpoint]:
    results: dict[Reading, StepOutput | SkippedCheckpoint] = {}
    parts = parts_by_whole(job.steps)
    for step in job.steps:
        is_part = whole_name(step.name) is not None
        if is_part and step.status != Status.CANCELLED:  # otherwise its checkpoint's scoring step has the answer
            continue
        reading = _reading(job, whole_name(step.name) or step.name)
        if step.output is not None:
            read = [part.output for part in parts.get(step.name, ()) if part.output is not None]
            results[reading] = with_parts(step.output, read)
        elif step.status.is_terminal:
            failure = step.failure or Failure(
                code="cancelled", reason="the job was cancelled before this checkpoint was read"
            )
            results[reading] = SkippedCheckpoint(
                checkpoint=reading.checkpoint, code=failure.code, reason=failure.reason
            )
    return results
