"""Rankings: what is asked, planned, done and answered."""

from frontrunner.ranking.budget import Budget
from frontrunner.ranking.criteria import DISCREPANCY, PUBLISHED_RISK_BOUND, RISK_BOUND, ScoreList, describe
from frontrunner.ranking.extension import extension_of, read_ranking, require_same_dataset
from frontrunner.ranking.local import (
    compare_datasets,
    nothing_ranked_reason,
    rank,
    register_source,
    the_checkpoint,
)
from frontrunner.ranking.planner import Plan, Progressed, assemble, plan, progressed
from frontrunner.ranking.request import (
    RankingPayload,
    RankingRequest,
    StepOutput,
    ranking_payload,
)
from frontrunner.ranking.result import PairedComparisons, RankedCheckpoint, Ranking
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.ranking.stages import (
    BudgetReport,
    Expectation,
    Expectations,
    Race,
    Reading,
    ScoreReading,
    StageReport,
    Trial,
    VerificationReport,
)
from frontrunner.ranking.stages.expectations import expectations_of
from frontrunner.ranking.step import run_step
from frontrunner.ranking.task_distances import (
    TaskDistanceMatrix,
    TaskDistancePayload,
    TaskDistanceRequest,
    TaskDistances,
    compare_tasks,
    require_classification,
)
from frontrunner.ranking.verification import step_payload

__all__ = [
    "DISCREPANCY",
    "PUBLISHED_RISK_BOUND",
    "RISK_BOUND",
    "Budget",
    "BudgetReport",
    "Expectation",
    "Expectations",
    "PairedComparisons",
    "Plan",
    "Progressed",
    "Race",
    "RankedCheckpoint",
    "Ranking",
    "RankingPayload",
    "RankingRequest",
    "Reading",
    "ScoreList",
    "ScoreReading",
    "SourceReference",
    "SourceStore",
    "StageReport",
    "StepOutput",
    "TaskDistanceMatrix",
    "TaskDistancePayload",
    "TaskDistanceRequest",
    "TaskDistances",
    "Trial",
    "VerificationReport",
    "assemble",
    "compare_datasets",
    "compare_tasks",
    "describe",
    "expectations_of",
    "extension_of",
    "nothing_ranked_reason",
    "plan",
    "progressed",
    "rank",
    "ranking_payload",
    "read_ranking",
    "register_source",
    "require_classification",
    "require_same_dataset",
    "run_step",
    "step_payload",
    "the_checkpoint",
]
