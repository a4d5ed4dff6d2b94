"""LEEP: log expected empirical prediction of the labels from the checkpoint's own classes.

Public code leaves the logarithm out, or returns NaN where a source class is never predicted. Here p(y | z) of such a
class is zero; its theta is zero as well, so it adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.influence import Influence
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats


def log_expected_prediction(
    blocks: Callable[[], Iterator[tuple[Floats, NDArray[np.int64]]]],
    classes: int,
    index: NDArray[np.int64] | None = None,
) -> Estimate:
    """LEEP of soft assignments of n examples to Z source classes or clusters.

    Args:
        blocks: yields (b, Z) assignments and (b,) classes of all examples, a block at a time; called several times.
        classes: C.
        index: (n,) which rows of the dataset the examples are; None for all.

    Returns:
        At most 0.
    """
    joint = sum(_scatter(theta, codes, classes) for theta, codes in blocks())
    joint = np.asarray(joint)
    mass = joint.sum(axis=0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    terms = np.concatenate([np.log(_predicted(theta, codes, conditional)) for theta, codes in blocks()])
    value, n = float(terms.mean()), terms.shape[0]

    def influence() -> Influence:
        # Another example of class y also changes p(. | z), by theta_z ([. = y] - p(. | z)) / mass_z.
        pulls = np.asarray(
            sum(
                _scatter(theta / _predicted(theta, codes, conditional)[:, None], codes, classes)
                for theta, codes in blocks()
            )
        )
        gain = np.divide(pulls - (conditional * pulls).sum(axis=0), mass, out=np.zeros_like(joint), where=mass > 0)
        moved = np.concatenate([np.einsum("bz,bz->b", theta, gain[codes]) for theta, codes in blocks()])
        return Influence((terms - value + moved) / n, index)

    return Estimate(value, value, influence)


def _scatter(theta: Floats, codes: NDArray[np.int64], classes: int) -> Floats:
    """(C, Z) sums of `theta` (b, Z) per class."""
    return np.asarray(np.eye(classes)[:, codes] @ theta)


def _predicted(theta: Floats, codes: NDArray[np.int64], conditional: Floats) -> Floats:
    """(b,) sum_z p(y_i | z) theta_iz."""
    return np.asarray(np.einsum("bz,bz->b", theta, conditional[codes]))


def estimate(data: ScoringInput) -> Estimate:
    """The mean over examples of log sum_z p(y_i | z) theta_iz.

    theta_i = p(z | x_i) is the checkpoint's prediction over its own classes z, and p(y | z) follows from the joint
    p(y, z) = 1/n sum_i [y_i = y] theta_iz.

    Args:
        data: all predictions are read, (n, C_source), with the class of each example.

    Returns:
        Minus infinity to 0; higher where the checkpoint's classes predict the dataset's.

    Raises:
        ScoreNotApplicable: no rows or no source probabilities are at hand, or the targets are real.
        InvalidFeatures: probabilities that are negative, or a row of zeros.
        FeaturesNotFinite: probabilities with NaN or infinity.

    Source: Nguyen, Hassner, Seeger & Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned
    Representations", ICML 2020.

    Example:
        >>> from frontrunner.scores import score
        >>> features, labels = np.ones((4, 1)), [0, 0, 1, 1]
        >>> informative = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
        >>> round(score("leep", features, labels, source_probabilities=informative), 4)
        -0.3426
        >>> round(score("leep", features, labels, source_probabilities=np.full((4, 2), 0.5)), 4)  # log 1/2
        -0.6931
    """
    return log_expected_prediction(data.probability_blocks, data.class_count)


SCORE = Score(
    name="leep",
    title="LEEP",
    citation="Nguyen et al., ICML 2020",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="two passes over the checkpoint's predictions, n C_source",
    explanation="How well the classes the checkpoint already predicts translate into yours.",
    estimate=estimate,
    highest=0.0,
)
