"""Transferability scores: how well a checkpoint's features suit a dataset, before any fine-tuning."""

from frontrunner.scores.intervals import (
    INTERVALS_VERSION,
    jackknife_over_shards,
    paired_probabilities,
    probability_best,
    probability_first_beats_second,
    tied_with_best,
)
from frontrunner.scores.logme import (
    Evidence,
    fixed_point_evidence,
    logme_from_statistics,
    maximise_evidence,
)
from frontrunner.scores.own import ScoreFunction
from frontrunner.scores.posterior import Posterior, posterior, posterior_mean
from frontrunner.scores.registry import (
    Evaluation,
    describe,
    evaluate,
    evaluate_input,
    names,
    register,
    registered,
    score,
    shard_of,
    statistics_of,
)
from frontrunner.scores.sampling import Draw
from frontrunner.scores.score import Score, ScoreDescription, ScoreValue
from frontrunner.scores.scoring_input import ScoringInput

__all__ = [
    "INTERVALS_VERSION",
    "Draw",
    "Evaluation",
    "Evidence",
    "Posterior",
    "Score",
    "ScoreDescription",
    "ScoreFunction",
    "ScoreValue",
    "ScoringInput",
    "describe",
    "evaluate",
    "evaluate_input",
    "fixed_point_evidence",
    "jackknife_over_shards",
    "logme_from_statistics",
    "maximise_evidence",
    "names",
    "paired_probabilities",
    "posterior",
    "posterior_mean",
    "probability_best",
    "probability_first_beats_second",
    "register",
    "registered",
    "score",
    "shard_of",
    "statistics_of",
    "tied_with_best",
]
