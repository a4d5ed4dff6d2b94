"""Transferability scores: how well a checkpoint's features suit a dataset, before any fine-tuning."""

from frontrunner.scores.logme import Evidence
from frontrunner.scores.registry import Score, ScoreValue, describe, evaluate, names, score, statistics_of

__all__ = ["Evidence", "Score", "ScoreValue", "describe", "evaluate", "names", "score", "statistics_of"]
