"""Rankings: a step is one checkpoint on one dataset, the result orders them by the score that was asked for."""

from jobs.kinds.ranking.kind import KIND
from jobs.kinds.ranking.request import RankingJob, TuningToFollow, ranking_job

__all__ = ["KIND", "RankingJob", "TuningToFollow", "ranking_job"]
