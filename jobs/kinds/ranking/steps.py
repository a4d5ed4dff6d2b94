"""What the steps of a ranking are told and what they answer, reading or adapting; and what they are called."""

from __future__ import annotations

import re
from typing import TypeAlias

from pydantic import RootModel

from frontrunner.ranking import RankingPayload, Reading, StepOutput, Trial
from frontrunner.tuning.verification import VerificationOutput, VerificationPayload
from jobs.kinds.kind import JobState, StepState
from jobs.kinds.ranking.request import RankingJob

# What comes after the id in the name of a step that adapts.
_TRIAL = re.compile(r"(.+)@(\d+)epochs(?:\+(\d+))?")


class RankingStep(RootModel[RankingPayload | VerificationPayload]):
    """What a step's runner is told: to read, or to adapt."""


class RankingStepOutput(RootModel[StepOutput | VerificationOutput]):
    """What it answers."""


RankingStepState: TypeAlias = StepState[RankingStep, RankingStepOutput]
RankingState: TypeAlias = JobState[RankingJob, RankingStep, RankingStepOutput]


def name_of(step: Reading | Trial, *, in_rounds: bool) -> str:
    """What a step is called: `ID@6epochs` where a checkpoint is adapted, `ID@64` in a race, else its id.

    `ID@2epochs+1` is adapted once more, with another seed.
    """
    if isinstance(step, Trial):
        return f"{step.checkpoint}@{step.epochs}epochs{f'+{step.again}' if step.again else ''}"
    return f"{step.checkpoint}@{step.examples}" if in_rounds else step.checkpoint


def step_of(name: str, job: RankingState) -> Reading | Trial:
    """What the step `name` is about, a part of a reading left aside."""
    asked = job.request.request
    if (trial := _TRIAL.fullmatch(name)) is not None:
        return Trial(trial[1], int(trial[2]), int(trial[3] or 0))
    if asked.budget is None:
        return Reading(name, asked.max_examples)
    checkpoint, _, examples = name.rpartition("@")
    return Reading(checkpoint, int(examples))
