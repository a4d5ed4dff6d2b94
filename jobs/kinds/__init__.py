"""Kinds of job, as data: what a job is asked for, how its result comes out of its steps, where it is read.

A new kind is a module here with one `JobKind`, a line in `KINDS`, the work of its steps in `workers.work`, and an
endpoint that submits it. Nothing else in the service knows one kind from another.
"""

from jobs.kinds.kind import Counts, JobKind, JobState, NewJob, NewStep, StepState
from jobs.kinds.ranking import RankingKind, TuningToFollow, ranking_job
from jobs.kinds.task_distances import TaskDistancesKind, task_distances_job
from jobs.kinds.tuning import TuningKind, tuning_job

KINDS: dict[str, JobKind] = {kind.name: kind for kind in (RankingKind(), TaskDistancesKind(), TuningKind())}

__all__ = [
    "KINDS",
    "Counts",
    "JobKind",
    "JobState",
    "NewJob",
    "NewStep",
    "RankingKind",
    "StepState",
    "TuningToFollow",
    "ranking_job",
    "task_distances_job",
    "tuning_job",
]
