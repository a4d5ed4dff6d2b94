"""What can go wrong with evidence that a user brings."""

from __future__ import annotations

from frontrunner.errors import FrontrunnerError


class EvidenceError(FrontrunnerError):
    """Predictions and results that cannot be compared."""

    code = "evidence_invalid"


class NothingToOrder(EvidenceError):
    """Fewer than two checkpoints, or all of them with the same result: no order can be right or wrong."""

    code = "nothing_to_order"


class InvalidHistory(EvidenceError):
    """A table of results that cannot be read as one: a column is missing, or a value is out of place."""

    code = "history_invalid"


class HistoryTooSmall(EvidenceError):
    """Too few datasets or checkpoints to leave one out and judge the rest."""

    code = "history_too_small"
