"""Evidence: what fine-tuning has shown, and what follows from it for checkpoints that are to be ranked."""

from frontrunner.evidence.agreement import kendall_tau, regret, weighted_tau
from frontrunner.evidence.errors import EvidenceError, HistoryTooSmall, InvalidHistory, NothingToOrder

__all__ = [
    "EvidenceError",
    "HistoryTooSmall",
    "InvalidHistory",
    "NothingToOrder",
    "kendall_tau",
    "regret",
    "weighted_tau",
]
