"""Evidence: what fine-tuning has shown, and what follows from it for checkpoints that are to be ranked."""

from frontrunner.evidence.agreement import kendall_tau, regret, weighted_tau
from frontrunner.evidence.combination import Reading, default_reading, learn_reading
from frontrunner.evidence.errors import EvidenceError, HistoryTooSmall, InvalidHistory, NothingToOrder
from frontrunner.evidence.evaluation import HistoryEvaluation, evaluate_history, static_mean_rank
from frontrunner.evidence.facts import public_facts, timm_facts
from frontrunner.evidence.history import CheckpointFacts, DatasetFacts, History, PastResult, collapsed_results
from frontrunner.evidence.history_file import HistoryFile, read_history
from frontrunner.evidence.prior import Belief, Prior, believe, fit_prior

__all__ = [
    "Belief",
    "CheckpointFacts",
    "DatasetFacts",
    "EvidenceError",
    "History",
    "HistoryEvaluation",
    "HistoryFile",
    "HistoryTooSmall",
    "InvalidHistory",
    "NothingToOrder",
    "PastResult",
    "Prior",
    "Reading",
    "believe",
    "collapsed_results",
    "default_reading",
    "evaluate_history",
    "fit_prior",
    "kendall_tau",
    "learn_reading",
    "public_facts",
    "read_history",
    "regret",
    "static_mean_rank",
    "timm_facts",
    "weighted_tau",
]
