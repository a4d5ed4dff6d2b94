"""NCE with each example predicted from the others: of use where source classes are many and examples few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.leep_cross_fitted import cross_fitted_prediction
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats


def estimate(data: ScoringInput) -> Estimate:
    """The mean over examples of log p(y_i | z_i), with p(y | z) of the other examples of the source class z_i.

    It is `leep_cross_fitted` where every prediction gives all of its probability to the most probable class.

    Args:
        data: all predictions are read, (n, C_source), with the class of each example.

    Returns:
        Below 0; higher where the checkpoint's top class predicts the dataset's class.

    Raises:
        ScoreNotApplicable: no rows or no source probabilities are at hand, or the targets are real.
        InvalidFeatures: probabilities that are negative, or a row of zeros.
        FeaturesNotFinite: probabilities with NaN or infinity.

    Source: NCE of Tran, Nguyen & Hassner, ICCV 2019; smoothing of Krichevsky & Trofimov 1981.

    Example:
        >>> from frontrunner.scores import score
        >>> generator = np.random.default_rng(0)
        >>> labels, chance = generator.integers(5, size=200), generator.random(size=(200, 1000))
        >>> round(score("nce", np.ones((200, 1)), labels, source_probabilities=chance), 1)
        -0.1
        >>> round(score("nce_cross_fitted", np.ones((200, 1)), labels, source_probabilities=chance), 1)  # log 1/5
        -1.6
    """

    def blocks() -> Iterator[tuple[Floats, NDArray[np.int64]]]:
        for theta, codes in data.probability_blocks():
            top = np.zeros_like(theta)
            top[np.arange(codes.size), theta.argmax(axis=1)] = 1.0
            yield top, codes

    return cross_fitted_prediction(blocks, data.class_count, data.n)


SCORE = Score(
    name="nce_cross_fitted",
    title="NCE, cross-fitted",
    citation="Tran et al., ICCV 2019; Krichevsky & Trofimov 1981",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="two passes over the checkpoint's predictions, n C_source",
    explanation="NCE that stays honest with few examples: each is predicted from the others.",
    estimate=estimate,
    highest=0.0,
)
