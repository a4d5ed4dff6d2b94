"""What the charts of a ranking read, and no more: pages and reports of a thousand checkpoints stay small."""

from __future__ import annotations

from typing import Any

from frontrunner.ranking.criteria import DISCREPANCY
from frontrunner.ranking.result import RankedCheckpoint, Ranking

# Of the numbers in a chart: more than a pixel can show.
_DIGITS = 6
# Of scores: rank correlations are made of them, and rounding must not make two alike that are not.
_SCORE_DIGITS = 10


def ranking_data(ranking: Ranking) -> dict[str, Any]:
    """The part of a ranking's JSON that charts draw, under the same names.

    Every line has its rank, scores with intervals, prediction, probability of being the best, parameters,
    measured cost, and a picture of its features where there is one; scores are rounded to ten digits, other numbers to
    six.
    """
    return {
        "id": ranking.id,
        "status": ranking.status,
        "dataset": {"name": ranking.dataset.name, "task": ranking.dataset.task},
        "provenance": {"ordered_by": ranking.provenance.ordered_by},
        "ranking": [_line(line) for line in ranking.ranking],
    }


def _line(line: RankedCheckpoint) -> dict[str, Any]:
    said: dict[str, Any] = {
        "rank": line.rank,
        "checkpoint": line.checkpoint,
        "scores": {
            name: {"value": _rounded(score.value, _SCORE_DIGITS)} | _ends(score.low, score.high)
            for name, score in line.scores.items()
        },
        "tied_with_best": line.tied_with_best,
        "probability_best": _rounded(line.probability_best),
        "parameters": line.parameters,
    }
    if line.prediction is not None:
        said["prediction"] = _ends(line.prediction.low, line.prediction.high)
    if line.behind is not None:
        said["behind"] = {"probability": _rounded(line.behind.probability)}
    if line.reading_cost is not None:
        cost = line.reading_cost
        said["reading_cost"] = {"latency_ms": _rounded(cost.latency_ms), "memory_mb": _rounded(cost.memory_mb)}
    if line.discrepancy is not None and DISCREPANCY not in line.scores:
        raw = line.discrepancy.dimension_dependent_per_parameter
        said["discrepancy"] = {"dimension_dependent_per_parameter": _rounded(raw)}
    if line.picture is not None:
        said["picture"] = line.picture.model_dump(mode="json")
    return said


def _ends(low: float | None, high: float | None) -> dict[str, float | None]:
    return {} if low is None or high is None else {"low": _rounded(low), "high": _rounded(high)}


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")
