"""LEEP with each example predicted from the others: of use where source classes are many and examples few.

LEEP itself predicts an example from counts that hold the example. With 1,000 source classes and 200 examples most
source classes hold one example, whose label they then know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.influence import Influence
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

# Krichevsky and Trofimov's half of an example for each class, the least for which no sequence of labels is predicted
# much worse than by its own shares.
EXAMPLES_PER_CLASS = 0.5


def cross_fitted_prediction(
    blocks: Callable[[], Iterator[tuple[Floats, NDArray[np.int64]]]], classes: int, n: int
) -> Estimate:
    """The mean over examples of log sum_z p(y_i | z) theta_iz, where p is made of the other examples.

    p(y | z) = (sum_j [y_j = y] theta_jz + a q(y)) / (sum_j theta_jz + a) over j != i, with a = C/2 and the share q of
    the class among the others, itself (n_y + 1/2) / (n - 1 + C/2) for the n_y others of class y.

    Args:
        blocks: yields (b, Z) assignments and (b,) classes of all examples, a block at a time; called several times.
        classes: C.
        n: number of examples.

    Returns:
        Below 0.
    """
    a, onehot = EXAMPLES_PER_CLASS * classes, np.eye(classes)
    joint = np.asarray(sum(onehot[:, codes] @ theta for theta, codes in blocks()))
    mass, counts = joint.sum(axis=0), joint.sum(axis=1)
    # The share of an example's class among the others.
    share = (counts - 1 + EXAMPLES_PER_CLASS) / (n - 1 + a)

    def predicted(theta: Floats, codes: NDArray[np.int64]) -> Floats:
        hits = (joint + a * share[:, None])[codes] - theta
        return np.asarray(np.einsum("bz,bz->b", theta, hits / (mass + a - theta)))

    probability = np.concatenate([predicted(theta, codes) for theta, codes in blocks()])
    terms = np.log(probability)
    value = float(terms.mean())

    def influence() -> Influence:
        # Another example of class y moves p(. | z) of the others by theta_z ([. = y] - p(. | z)) / (mass_z + a), and
        # the classes' share by [. = y] / (n + a) and what is the same for every example.
        conditional = (joint + a * share[:, None]) / (mass + a)
        pulls, start = np.zeros_like(joint), 0
        for theta, codes in blocks():
            weights = theta / probability[start : start + codes.size, None]
            pulls, start = pulls + onehot[:, codes] @ weights, start + codes.size
        gain = (pulls - (conditional * pulls).sum(axis=0)) / (mass + a)
        by_share = (pulls * (a / (mass + a))).sum(axis=1) / (n + a)
        moved, start = np.empty(n), 0
        for theta, codes in blocks():
            rows = slice(start, start + codes.size)
            own = theta**2 * (1 - conditional[codes]) / (mass + a)
            moved[rows] = np.einsum("bz,bz->b", theta, gain[codes]) - own.sum(axis=1) / probability[rows]
            moved[rows] += by_share[codes]
            start += codes.size
        return Influence((terms + moved) / n)

    return Estimate(value, value, influence)


def estimate(data: ScoringInput) -> Estimate:
    """The mean over examples of log sum_z p(y_i | z) theta_iz, with p(y | z) of the other examples.

    For labels that the source classes say nothing about it is at most about minus the entropy of the labels, however
    many source classes there are. A source class that few examples have is taken to say little, so that for few
    examples the value is rather too low.

    Args:
        data: all predictions are read, (n, C_source), with the class of each example.

    Returns:
        Below 0; higher where the checkpoint's classes predict the dataset's.

    Raises:
        ScoreNotApplicable: no rows or no source probabilities are at hand, or the targets are real.
        InvalidFeatures: probabilities that are negative, or a row of zeros.
        FeaturesNotFinite: probabilities with NaN or infinity.

    Source: LEEP of Nguyen et al., ICML 2020; smoothing of Krichevsky & Trofimov, "The performance of universal
    encoding", IEEE Transactions on Information Theory 1981.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = [0, 0, 1, 1]
        >>> predictions = np.eye(4)  # a source class of its own for each example
        >>> score("leep", np.ones((4, 1)), labels, source_probabilities=predictions)
        0.0
        >>> round(score("leep_cross_fitted", np.ones((4, 1)), labels, source_probabilities=predictions), 4)  # log 3/8
        -0.9808
    """
    return cross_fitted_prediction(data.probability_blocks, data.class_count, data.n)


SCORE = Score(
    name="leep_cross_fitted",
    title="LEEP, cross-fitted",
    citation="Nguyen et al., ICML 2020; Krichevsky & Trofimov 1981",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="two passes over the checkpoint's predictions, n C_source",
    explanation="LEEP that stays honest with few examples: each is predicted from the others.",
    estimate=estimate,
    highest=0.0,
)
