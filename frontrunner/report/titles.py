"""What scores are called in charts, which know their short names only."""

from __future__ import annotations

from typing import Any

from frontrunner.data.dataset import Task
from frontrunner.ranking.answer import is_share, title_of
from frontrunner.ranking.criteria import ScoreList


def score_titles(task: Task) -> dict[str, dict[str, Any]]:
    """By short name: `title`, and whether the score is a `share` that people read as points of a hundred.

    Example:
        >>> score_titles("classification")["knn"]
        {'title': 'kNN accuracy', 'share': True}
    """
    return {
        score.name: {"title": title_of(score.name, task), "share": is_share(score.name, task)}
        for score in ScoreList.of_all().items
    }
