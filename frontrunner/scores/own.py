"""Scores of one's own: from a function of features and labels to a `Score`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from frontrunner.errors import ScoreNotApplicable
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

# Of features (n, D) and class codes (n,) or real targets (n, K); higher is better.
ScoreFunction: TypeAlias = Callable[[Floats, NDArray[Any]], float]
# What a function is given at most: a stratified sample of larger datasets, since it needs all rows at once.
LARGEST_SAMPLE = 10_000


def score_of(function: ScoreFunction, name: str) -> Score:
    """The function as a score without an interval, whose numbers are computed anew each time.

    What the function raises makes the score not applicable, and is told as the reason.
    """

    def estimate(data: ScoringInput) -> Estimate:
        rows = data.rows(LARGEST_SAMPLE)
        try:
            value = float(function(rows.features, rows.outputs if rows.codes is None else rows.codes))
        except Exception as error:
            raise ScoreNotApplicable(f"{name} raised {type(error).__name__}: {error}") from error
        if not np.isfinite(value):
            raise ScoreNotApplicable(f"{name} is {value}")
        return Estimate(value=value, raw=value, influence=None)

    return Score(
        name=name,
        title=name.replace("_", " "),
        citation="added by its user",
        needs="features",
        tasks=EVERY_TASK,
        range="as its function says",
        cost="as its function costs",
        explanation=(function.__doc__ or "A function of features and labels.").strip().splitlines()[0],
        estimate=estimate,
        largest_sample=LARGEST_SAMPLE,
        kept=False,
    )
