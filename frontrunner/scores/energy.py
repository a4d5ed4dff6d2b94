"""ETran's energy term: mean log sum exp of the features, higher for data that resemble the pretraining data."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from frontrunner.errors import ScoreNotApplicable
from frontrunner.scores.influence import Influence
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput


def estimate(data: ScoringInput) -> Estimate:
    """The mean over examples of log sum_d exp(f_d); the raw value is its negative, the mean energy.

    Labels are not used, and the value grows with the features' scale and number: it is one term of a combined score,
    not a ranking by itself.

    Args:
        data: all rows are read, (n, D) features; any task.

    Returns:
        Unbounded; between the mean of max_d f_d and that mean plus log D.

    Raises:
        ScoreNotApplicable: only sums of the features are at hand.

    Source: Gholami et al., "ETran: Energy-Based Transferability Estimation", ICCV 2023, the energy term.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[0.0, 0.0], [1.0, 1.0]])  # log 2 and 1 + log 2
        >>> round(score("energy", features, [0, 1]), 4)
        1.1931
    """
    if not data.has_rows:
        raise ScoreNotApplicable("the energy is a sum over rows, and only sums of features are at hand")
    negative_energy = np.concatenate([logsumexp(b.astype(np.float64), axis=1) for b in data.feature_blocks()])
    value = float(negative_energy.mean())
    return Estimate(value, -value, lambda: Influence.on_mean(negative_energy))


SCORE = Score(
    name="energy",
    title="ETran energy",
    citation="Gholami et al., ICCV 2023",
    needs="features",
    tasks=EVERY_TASK,
    range="unbounded; grows with the features' scale; the raw value is the energy, the lower the better",
    cost="one pass, n D",
    explanation="How familiar the images look to the checkpoint, whatever their labels.",
    estimate=estimate,
)
