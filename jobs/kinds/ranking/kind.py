"""The ranking's planner, its result, and what each accepted step leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from frontrunner.errors import NothingRanked
from frontrunner.extraction import Rows
from frontrunner.hub import SkippedCheckpoint
from frontrunner.progress import Progress, Stage
from frontrunner.ranking import (
    Plan,
    Progressed,
    Ranking,
    RankingPayload,
    Reading,
    StageReport,
    StepOutput,
    Trial,
    assemble,
    nothing_ranked_reason,
    progressed,
    ranking_payload,
    run_step,
    step_payload,
)
from frontrunner.settings import get_settings
from frontrunner.status import Failure, Status
from frontrunner.tuning import take_best, tuning_payload
from frontrunner.tuning.verification import VerificationOutput, VerificationPayload, run_verification, trained
from jobs.kinds.kind import Counts, JobKind, NewJob, NewStep
from jobs.kinds.ranking.parts import divided, part_name, parts_by_whole, whole_name, with_parts
from jobs.kinds.ranking.request import RankingJob
from jobs.kinds.ranking.steps import RankingState, RankingStep, RankingStepOutput, name_of, step_of
from jobs.kinds.tuning import tuning_job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class RankingKind(JobKind[RankingJob, RankingStep, RankingStepOutput]):
    """A step's name is its checkpoint's id; in a race for a budget, with the examples that it reads: `ID@64`.

    A large sample is read in parts by steps of their own, see `jobs.kinds.ranking.parts`; the step that scores follows
    when all of them are over. What one of them could not read it reads itself, or says why it cannot.

    Where a checkpoint is adapted for a while, the epochs that are over then stand behind its id: `ID@6epochs`.

    Features that the dataset brings need no model: they go to `io`.
    """

    name = "ranking"
    request = RankingJob
    payload = RankingStep
    output = RankingStepOutput
    counted = frozenset({Stage.READ, Stage.TRAIN})

    def result_url(self, job_id: str) -> str:
        """The ranking."""
        return f"/v1/rankings/{job_id}"

    def next_steps(self, job: RankingState) -> Sequence[NewStep[RankingStep]] | Ranking:
        """The steps of each checkpoint, or of each in a race's round; then the result, which may be a failure."""
        if read := _read_in_parts(job):
            return self._steps(job, read, are_read=True)
        if job.is_in_hand:
            return ()
        reached = _progressed(job)
        if reached.next:
            return self._steps(job, reached.next, left=reached.trained_no_further)
        ranking = self.result(job)
        if any(isinstance(result, StepOutput) for result in _results(job).values()):
            return ranking
        failure = Failure(code=NothingRanked.code, reason=nothing_ranked_reason(ranking.skipped))
        return ranking.model_copy(update={"failure": failure})

    def result(self, job: RankingState) -> Ranking:
        """The checkpoints that are read so far, best first."""
        found = _progressed(job)
        ranking = assemble(
            job.id,
            job.status,
            job.request.request,
            job.report,
            _plan(job),
            found.outcomes,
            found.spent,
            found.verified,
        )
        return ranking.model_copy(update={"failure": job.failure})

    def stages_over(self, job: RankingState) -> Sequence[StageReport]:
        """Of budget and verification."""
        asked = job.request.request
        if asked.budget is None and not asked.verify:
            return ()
        return [stage for stage in _progressed(job).stages if not stage.waiting]

    def run(self, payload: RankingStep, progress: Progress) -> RankingStepOutput:
        """Read the checkpoint's features of the dataset and score them, or adapt it for a while."""
        work = payload.root
        if isinstance(work, RankingPayload):
            return RankingStepOutput(run_step(work, progress))
        return RankingStepOutput(run_verification(work.below(get_settings().work), progress))

    def next_job(self, job: RankingState) -> NewJob | None:
        """The tuning that was asked to follow, with the best of the ranking's checkpoints."""
        asked = job.request
        if asked.then is None:
            return None
        known = {candidate.checkpoint.id: candidate.checkpoint for candidate in asked.candidates}
        ranked = [known[line.checkpoint] for line in self.result(job).ranking]
        request = take_best(asked.then.request, ranked, asked.then.top)
        payload = tuning_payload(request, asked.dataset, known)
        return tuning_job(payload, asked.dataset.id, job.report.train_examples, asked.queue)

    def record(self, session: Session, job_id: str, payload: RankingStep, output: RankingStepOutput) -> Counts:
        """What a step leaves: features as used now and what reading took, or what adapting reached, for the history."""
        from jobs.kinds.ranking.record import record_step, record_verification  # a runner needs no tables

        work, found = payload.root, output.root
        if isinstance(work, RankingPayload) and isinstance(found, StepOutput):
            record_step(session, work, found)
            counted_before = bool(work.parts) and work.rows is None
            return {
                ("forward_examples", self.name): found.forward_examples,
                # What steps of their own have read is counted there.
                ("cached_examples", self.name): 0 if counted_before else found.examples - found.forward_examples,
            }
        if isinstance(work, VerificationPayload) and isinstance(found, VerificationOutput):
            record_verification(session, job_id, work, found)
        return {}

    def folders(self, payload: RankingStep) -> Sequence[str]:
        """Where checkpoints are adapted, all those of the same examples."""
        work = payload.root
        return (work.examples_name,) if isinstance(work, VerificationPayload) else ()

    def _steps(
        self,
        job: RankingState,
        following: Sequence[Reading | Trial],
        *,
        are_read: bool = False,
        left: Sequence[str] = (),
    ) -> list[NewStep[RankingStep]]:
        """The step that scores each reading, or those that read its parts first; the step that adapts.

        Args:
            job: whose.
            following: what to do.
            are_read: whether all parts of them are.
            left: checkpoints that were adapted for some epochs, and go on no further.
        """
        asked = job.request
        candidates = {found.checkpoint.id: found for found in asked.candidates}
        described = {name: found.checkpoint for name, found in candidates.items()}
        steps = []
        for step in following:
            found = candidates[step.checkpoint]
            work: RankingPayload | VerificationPayload
            parts: tuple[Rows, ...] = ()
            if isinstance(step, Trial):
                work = step_payload(asked.request, asked.dataset, described, step, left)
                method = work.tuning.request.method
                examples = trained(method, found.checkpoint.modality, job.report.train_examples, step.epochs)
            else:
                examples = min(step.examples, job.report.train_examples)
                parts = divided(examples, asked.examples_a_step, len(asked.candidates))
                work = ranking_payload(
                    asked.request, asked.dataset, found.checkpoint, found.source, step.examples, parts
                )
            whole = NewStep(
                name=name_of(step, in_rounds=asked.request.budget is not None),
                payload=RankingStep(work),
                queue="io" if found.checkpoint.modality == "features" else asked.queue,
                examples_total=examples,
                dataset_digests=(asked.dataset.digest,),
            )
            if not parts:
                steps.append(whole)
            elif are_read:  # and counted where they were read
                steps.append(replace(whole, examples_total=0))
            else:
                steps += [_part(whole, rows) for rows in parts]
        return steps


KIND = RankingKind()


def _plan(job: RankingState) -> Plan:
    return Plan(tuple(candidate.checkpoint for candidate in job.request.candidates), job.request.skipped)


def _progressed(job: RankingState) -> Progressed:
    asked = job.request
    return progressed(asked.request, job.report, _plan(job), asked.expectations, _results(job))


def _part(whole: NewStep[RankingStep], rows: Rows) -> NewStep[RankingStep]:
    payload = RankingStep(whole.payload.root.model_copy(update={"rows": rows}))
    return replace(whole, name=part_name(whole.name, rows), payload=payload, examples_total=rows[1] - rows[0])


def _read_in_parts(job: RankingState) -> list[Reading | Trial]:
    """What is read, every part of it, and has no scoring step yet."""
    names = {step.name for step in job.steps}
    return [
        step_of(whole, job)
        for whole, parts in parts_by_whole(job.steps).items()
        if whole not in names and all(part.status.is_terminal for part in parts)
    ]


def _results(job: RankingState) -> dict[Reading | Trial, StepOutput | VerificationOutput | SkippedCheckpoint]:
    results: dict[Reading | Trial, StepOutput | VerificationOutput | SkippedCheckpoint] = {}
    parts = parts_by_whole(job.steps)
    for step in job.steps:
        is_part = whole_name(step.name) is not None
        if is_part and step.status != Status.CANCELLED:  # otherwise its checkpoint's scoring step has the answer
            continue
        done = step_of(whole_name(step.name) or step.name, job)
        if step.output is not None:
            said = step.output.root
            results[done] = with_parts(said, parts.get(step.name, ())) if isinstance(said, StepOutput) else said
        elif step.status.is_terminal:
            failure = step.failure or Failure(
                code="cancelled", reason="the job was cancelled before this checkpoint was read"
            )
            results[done] = SkippedCheckpoint(checkpoint=done.checkpoint, code=failure.code, reason=failure.reason)
    return results
