"""TransRate: the coding rate of all features less the mean coding rate within classes.

Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022: R(F) - mean over classes of R(F_c), with
R(F) = 1/2 log det(I + F'F / (n eps)), eps = 1e-4, features centred once by the overall mean. As in the authors' code,
classes count alike whatever their size. A D x D second moment per class would be C times the statistics' memory, so
rows are read and each class takes the smaller of its two Gram matrices.

Leaving a row out takes -1/2 log(1 - h) from a log determinant, h its leverage; exact, where the derivative h/2 is far
off for a class of fewer rows than features.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from frontrunner.scores.intervals import leave_group_out
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

EPSILON = 1e-4
LARGEST_SAMPLE = 4096


def coding_rate(features: Floats) -> float:
    """R(F) in nats of rows (n, D), taken as given: 1/2 log det(I + F'F / (n eps)).

    Source: Ma, Derksen, Hong & Wright 2007; eps as in Huang et al. 2022.

    Example:
        >>> round(coding_rate(np.array([[0.01], [-0.01]])), 6)
        0.346574
    """
    factor = cho_factor(_regularised_gram(features), lower=True, overwrite_a=True)[0]
    return float(np.log(np.diagonal(factor)).sum())


def _regularised_gram(features: Floats) -> Floats:
    """I + F'F / (n eps) or, of the same determinant and smaller for n < D, I + F F' / (n eps)."""
    n, dimension = features.shape
    gram = features @ features.T if n < dimension else features.T @ features
    gram /= n * EPSILON
    gram[np.diag_indices_from(gram)] += 1.0
    return np.asarray(gram)


def _left_out(features: Floats) -> tuple[Floats, Floats]:
    """(n,) what leaving each row out takes from 2 R(F), and (D,) A^-1 times the mean row, A = I + F'F / (n eps).

    The former is -log(1 - h) less the mean leverage, which the smaller n in n eps gives back.
    """
    n, dimension = features.shape
    factor = cho_factor(_regularised_gram(features), lower=True, overwrite_a=True)
    if n < dimension:
        # A^-1 F' = F' (I + K)^-1, and 1 - h is the diagonal of (I + K)^-1 itself.
        inverse = cho_solve(factor, np.eye(n))
        unseen = np.diagonal(inverse)
        return -np.log(unseen) - (1.0 - unseen.mean()), features.T @ inverse.mean(axis=1)
    white = solve_triangular(factor[0], features.T, lower=True, check_finite=False)
    leverage = np.minimum(np.einsum("dn,dn->n", white, white) / (n * EPSILON), 1 - 1e-12)
    return -np.log1p(-leverage) - leverage.mean(), cho_solve(factor, features.mean(axis=0))


def _estimate(case: ScoringInput) -> Estimate:
    rows = case.rows(LARGEST_SAMPLE)
    features = rows.features - rows.features.mean(axis=0)
    members = [np.flatnonzero(rows.codes == c) for c in range(case.class_count)]
    value = coding_rate(features) - float(np.mean([coding_rate(features[of]) for of in members]))

    def replicates() -> Floats:
        n, classes = features.shape[0], case.class_count
        influence = _left_out(features)[0]
        for of in members:
            moved, along_mean = _left_out(features[of])
            influence[of] -= moved / classes
            # The overall mean, which centres every class, moves by the row's share of it.
            influence += 2 * (features @ along_mean) / (n * EPSILON * classes)
        # Every lost row costs its class some rate, whatever the row: that is a matter of how many there are, not
        # of which were drawn, and groups are not all of one size.
        for of in members:
            influence[of] -= influence[of].mean()
        return leave_group_out(value, influence / 2, rows.groups)

    return Estimate(value, value, replicates)


SCORE = Score(
    name="transrate",
    title="TransRate",
    source="Huang et al., ICML 2022",
    needs="features",
    tasks=CLASSIFICATION,
    range="unbounded; at least 0 for classes of equal size",
    cost="Gram matrices of at most 4,096 rows, m D min(m, D)",
    explanation="How many more bits the features as a whole take than each class on its own.",
    estimate=_estimate,
    largest_sample=LARGEST_SAMPLE,
)
