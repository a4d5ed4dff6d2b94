"""Rankings: what is asked, planned, done and answered."""

from frontrunner.ranking.local import Listener, nothing_ranked_reason, rank
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
from frontrunner.ranking.step import run_step

__all__ = [
    "DatasetReference",
    "Failure",
    "Listener",
    "Plan",
    "RankedCheckpoint",
    "Ranking",
    "RankingRequest",
    "ScoreOutput",
    "Status",
    "StepOrder",
    "StepOutput",
    "assemble",
    "nothing_ranked_reason",
    "plan",
    "rank",
    "run_step",
    "step_orders",
]
