"""TransRate: the coding rate of all features less the mean coding rate within classes.

A D x D second moment for each class would take C times the memory of the statistics, so rows are read, and each class
uses the smaller of its two Gram matrices.

Without a row of leverage h a log determinant is smaller by -log(1 - h). The interval uses this exact difference,
because the derivative h is far off for a class of fewer rows than features.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from frontrunner.scores.influence import Influence
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

EPSILON = 1e-4
LARGEST_SAMPLE = 4096


def _coding_rate(features: Floats) -> float:
    """R(F) in nats of rows (n, D), not centred here: 1/2 log det(I + F'F / (n eps)).

    Source: Ma, Derksen, Hong & Wright 2007; eps as in Huang et al. 2022.

    Example:
        >>> round(_coding_rate(np.array([[0.01], [-0.01]])), 6)
        0.346574
    """
    factor = cho_factor(_regularised_gram(features), lower=True, overwrite_a=True)[0]
    return float(np.log(np.diagonal(factor)).sum())


def _regularised_gram(features: Floats) -> Floats:
    """I + F'F / (n eps), or I + F F' / (n eps) for n < D, which is smaller and has the same determinant."""
    n, dimension = features.shape
    gram = features @ features.T if n < dimension else features.T @ features
    gram /= n * EPSILON
    gram[np.diag_indices_from(gram)] += 1.0
    return np.asarray(gram)


def _left_out(features: Floats, *, centred: bool) -> tuple[Floats, Floats]:
    """(n,) how much smaller 2 R(F) is without each row, and (D,) A^-1 times the mean row, A = I + F'F / (n eps).

    The difference is -log(1 - w h) less the mean leverage; the second term is due to the smaller n in n eps.

    Args:
        features: (n, D).
        centred: whether F is centred by its own mean. The mean moves as well when a row leaves, so the scatter loses
            w = n / (n - 1) of the row's product with itself, not w = 1. For D > n this decides: h is nearly 1 there.
    """
    n, dimension = features.shape
    weight = n / (n - 1) if centred else 1.0
    factor = cho_factor(_regularised_gram(features), lower=True, overwrite_a=True)
    if n < dimension:
        # A^-1 F' = F' (I + K)^-1, and 1 - h is the diagonal of (I + K)^-1 itself.
        inverse = cho_solve(factor, np.eye(n))
        diagonal = np.diagonal(inverse)
        # 1 - w h, as a difference of 1/n where F is centred: h itself has lost these digits.
        unseen = np.maximum(weight * (diagonal - 1 / n) if centred else diagonal, np.finfo(np.float64).tiny)
        return -np.log(unseen) - (1.0 - diagonal.mean()), features.T @ inverse.mean(axis=1)
    white = solve_triangular(factor[0], features.T, lower=True, check_finite=False)
    leverage = np.einsum("dn,dn->n", white, white) / (n * EPSILON)
    return -np.log1p(-np.minimum(weight * leverage, 1 - 1e-12)) - leverage.mean(), cho_solve(
        factor, features.mean(axis=0)
    )


def estimate(data: ScoringInput) -> Estimate:
    """R(F) - mean over classes of R(F_c) in nats, with R(F) = 1/2 log det(I + F'F / (n eps)) and eps = 1e-4.

    F is centred once, by the mean of all rows. As in the authors' code every class has the same weight, whatever its
    size.

    Args:
        data: at most 4,096 rows of (n, D) features with their classes are read.

    Returns:
        Unbounded; at least 0 for classes of equal size.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        >>> round(score("transrate", features, [0, 0, 1, 1]), 4)
        0.0526
    """
    rows = data.rows(LARGEST_SAMPLE)
    features = rows.features - rows.features.mean(axis=0)
    members = [np.flatnonzero(rows.codes == c) for c in range(data.class_count)]
    value = _coding_rate(features) - float(np.mean([_coding_rate(features[of]) for of in members]))

    def influence() -> Influence:
        n, classes = features.shape[0], data.class_count
        changes = _left_out(features, centred=True)[0]
        for of in members:
            moved, along_mean = _left_out(features[of], centred=False)
            changes[of] -= moved / classes
            # The row also changes the overall mean, which centres every class.
            changes += 2 * (features @ along_mean) / (n * EPSILON * classes)
        return Influence(changes / 2, rows.index)

    return Estimate(value, value, influence)


SCORE = Score(
    name="transrate",
    title="TransRate",
    citation="Huang et al., ICML 2022",
    needs="features",
    tasks=CLASSIFICATION,
    range="unbounded; at least 0 for classes of equal size",
    cost="Gram matrices of at most 4,096 rows, m D min(m, D)",
    explanation="How many more bits the features as a whole take than each class on its own.",
    estimate=estimate,
    largest_sample=LARGEST_SAMPLE,
)
