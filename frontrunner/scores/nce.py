"""NCE: negative conditional entropy of the labels given the checkpoint's own predicted class.

It is too high where source classes are many and examples few: a source class of one example tells its label. See
`leep.expected_optimism`; `nce_cross_fitted` predicts each example from the others.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.leep import expected_optimism
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput


def estimate(data: ScoringInput) -> Estimate:
    """-H(Y | Z) = sum over (z, y) of p(z, y) log p(y | z), natural logarithms.

    Z is the most probable source class of an example, and p(z, y) the share of the examples. It equals LEEP where every
    prediction gives all of its probability to one class.

    Args:
        data: counts of (source class, class), from sums or from (n, C_source) predictions.

    Returns:
        -log C (the source class tells nothing) to 0 (each source class holds examples of one class only).

    Raises:
        ScoreNotApplicable: no source probabilities are at hand, or the targets are real.
        InvalidFeatures: probabilities that are negative, or a row of zeros.
        FeaturesNotFinite: probabilities with NaN or infinity.

    Source: Tran, Nguyen & Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019.

    Example:
        >>> from frontrunner.scores import score
        >>> predictions = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
        >>> labels = [0, 0, 0, 1]  # half of the examples have a source class that holds both classes: 1/2 log 1/2
        >>> round(score("nce", np.ones((4, 1)), labels, source_probabilities=predictions), 4)
        -0.3466
    """
    if data.statistics.source_counts is not None:
        counts = data.statistics.source_counts[:, data.columns]
    else:
        counts = np.zeros((0, 0))
        for theta, codes in data.probability_blocks():
            counts = counts if counts.size else np.zeros((theta.shape[1], data.class_count))
            np.add.at(counts, (theta.argmax(axis=1), codes), 1.0)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    log_share = np.log(share, out=np.zeros_like(share), where=counts > 0)
    value = float((counts * log_share).sum()) / data.n

    def influence() -> Influence:
        # The entropy is stationary in the conditional distribution, so a row changes it only by its own term.
        terms = [log_share[theta.argmax(axis=1), codes] for theta, codes in data.probability_blocks()]
        return Influence.on_mean(np.concatenate(terms))

    occurring = float(np.count_nonzero(counts.sum(axis=1)))
    optimism = expected_optimism(occurring, data.class_count, data.n)
    return Estimate(value, value, influence if data.has_rows else None, optimism)


SCORE = Score(
    name="nce",
    title="NCE",
    citation="Tran et al., ICCV 2019",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="-log C to 0",
    cost="one pass over the checkpoint's predictions, n C_source",
    explanation="How much of your label is left open once the checkpoint's own top class is known.",
    version=2,
    estimate=estimate,
    highest=0.0,
)
