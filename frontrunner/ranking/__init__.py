"""Rankings: what is asked, planned, done and answered."""

from frontrunner.ranking.criteria import DISCREPANCY, PUBLISHED_RISK_BOUND, RISK_BOUND, ScoreList, describe
from frontrunner.ranking.local import (
    compare_datasets,
    nothing_ranked_reason,
    rank,
    register_source,
    the_checkpoint,
)
from frontrunner.ranking.planner import Plan, assemble, plan
from frontrunner.ranking.request import (
    RankingPayload,
    RankingRequest,
    StepOutput,
    ranking_payload,
)
from frontrunner.ranking.result import RankedCheckpoint, Ranking
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.ranking.step import run_step
from frontrunner.ranking.task_distances import (
    TaskDistanceMatrix,
    TaskDistancePayload,
    TaskDistanceRequest,
    TaskDistances,
    compare_tasks,
    require_classification,
)

__all__ = [
    "DISCREPANCY",
    "PUBLISHED_RISK_BOUND",
    "RISK_BOUND",
    "Plan",
    "RankedCheckpoint",
    "Ranking",
    "RankingPayload",
    "RankingRequest",
    "ScoreList",
    "SourceReference",
    "SourceStore",
    "StepOutput",
    "TaskDistanceMatrix",
    "TaskDistancePayload",
    "TaskDistanceRequest",
    "TaskDistances",
    "assemble",
    "compare_datasets",
    "compare_tasks",
    "describe",
    "nothing_ranked_reason",
    "plan",
    "rank",
    "ranking_payload",
    "register_source",
    "require_classification",
    "run_step",
    "the_checkpoint",
]
