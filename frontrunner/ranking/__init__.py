"""Rankings: what is asked, planned, done and answered."""

from frontrunner.ranking.criteria import COMBINED, DISCREPANCY, ScoreList, describe
from frontrunner.ranking.local import (
    Listener,
    compare_datasets,
    nothing_ranked_reason,
    rank,
    register_source,
    the_checkpoint,
)
from frontrunner.ranking.planner import Plan, assemble, plan
from frontrunner.ranking.request import (
    DatasetReference,
    RankingRequest,
    ScoreOutput,
    StepOrder,
    StepOutput,
    step_orders,
)
from frontrunner.ranking.result import Failure, RankedCheckpoint, Ranking, Status
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.ranking.step import run_step
from frontrunner.ranking.task_distances import (
    TaskDistanceMatrix,
    TaskDistanceOrder,
    TaskDistanceRequest,
    TaskDistances,
    compare_tasks,
    require_classification,
)

__all__ = [
    "COMBINED",
    "DISCREPANCY",
    "DatasetReference",
    "Failure",
    "Listener",
    "Plan",
    "RankedCheckpoint",
    "Ranking",
    "RankingRequest",
    "ScoreList",
    "ScoreOutput",
    "SourceReference",
    "SourceStore",
    "Status",
    "StepOrder",
    "StepOutput",
    "TaskDistanceMatrix",
    "TaskDistanceOrder",
    "TaskDistanceRequest",
    "TaskDistances",
    "assemble",
    "compare_datasets",
    "compare_tasks",
    "describe",
    "nothing_ranked_reason",
    "plan",
    "rank",
    "register_source",
    "require_classification",
    "run_step",
    "step_orders",
    "the_checkpoint",
]
