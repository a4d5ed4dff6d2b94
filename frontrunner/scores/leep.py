"""LEEP: log expected empirical prediction of the labels from the checkpoint's own classes.

Public code leaves the logarithm out, or returns NaN where a source class is never predicted. Here p(y | z) of such a
class is zero; its theta is zero as well, so it adds nothing.

The same examples make p(y | z) and are predicted by it, so the value is too high where source classes are many and
examples few; `expected_optimism` says by how much. `leep_cross_fitted` predicts each example from the others.
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
    joint, squares = np.zeros(()), np.zeros(())
    for theta, codes in blocks():
        joint = joint + _scatter(theta, codes, classes)
        squares = squares + np.einsum("bz,bz->z", theta, theta)
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

    # For predictions of one class each: the source classes that occur. For predictions that are all alike: 1.
    effective = float(np.divide(squares, mass, out=np.zeros_like(mass), where=mass > 0).sum())
    return Estimate(value, value, influence, expected_optimism(effective, classes, n))


def expected_optimism(source_classes: float, classes: int, n: int) -> float:
    """By how much -H(Y | Z) of n examples exceeds that of endless ones, to first order: K (C - 1) / (2n).

    It is exact for n well above K C and labels that Z leaves open; there and for fewer examples, it is too high by as
    much as Z determines the labels.

    Args:
        source_classes: K, how many source classes the predictions use: the trace of the matrix that takes one-hot
            labels to predicted ones, sum_z (sum_i theta_iz^2 / sum_i theta_iz).
        classes: C.
        n: number of examples.

    Source: Miller, "Note on the bias of information estimates", 1955.

    Example:
        >>> expected_optimism(10.0, 3, 1000)
        0.01
    """
    return source_classes * (classes - 1) / (2 * n)


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
    version=2,
    estimate=estimate,
    highest=0.0,
)
