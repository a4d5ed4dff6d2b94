"""LDA: leave-one-out accuracy of linear discriminant analysis.

Means and covariance come from all examples; each predicted row is then taken out of them exactly, by the formula of
Sherman and Morrison. Class frequencies, and the target and the intensity of the shrinkage stay those of all examples.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from frontrunner.scores.baseline import losses_of, prediction_quality
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import Rows, ScoringInput
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 4096


def oracle_approximating_intensity(within_lower: Floats, n: int) -> float:
    """Shrinkage intensity, 0 to 1, of a scatter (D, D) over n examples (Chen et al. 2010, eq. 23).

    Args:
        within_lower: (D, D) within-class scatter, lower triangle.
        n: number of examples.
    """
    dimension = within_lower.shape[0]
    diagonal = np.diagonal(within_lower)
    trace = float(diagonal.sum())
    squares = 2 * float((np.tril(within_lower) ** 2).sum()) - float((diagonal**2).sum())
    spread = (n + 1 - 2 / dimension) * (squares - trace**2 / dimension)
    if spread <= 0:
        return 1.0
    return float(min(((1 - 2 / dimension) * squares + trace**2) / spread, 1.0))


def leave_one_out_discriminants(scatter: Scatter, rows: Rows) -> tuple[Floats, float]:
    """(m, C) log posterior of each class for each row, by the discriminant without that row; the rows' mean leverage.

    Rows of the result lack a constant each, which no comparison of classes needs.

    Args:
        scatter: of all n examples.
        rows: m of them.
    """
    n, counts, codes = scatter.n, scatter.counts, np.asarray(rows.codes)
    covariance = scatter.within()
    intensity = oracle_approximating_intensity(covariance, n)
    target = float(np.trace(covariance)) / n / covariance.shape[0]
    covariance *= (1 - intensity) / n
    # Where classes have no spread, the plain distance to their means decides.
    floor = max(scatter.rounding / n, np.finfo(np.float64).tiny)
    covariance[np.diag_indices_from(covariance)] += intensity * target + floor if target > floor else 1.0
    lower = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    white = solve_triangular(lower, (rows.features - scatter.mean).T, lower=True, check_finite=False).T
    means = solve_triangular(lower, scatter.offsets.T, lower=True, check_finite=False).T

    along, among = white @ means.T, means @ means.T
    square = np.einsum("md,md->m", white, white)[:, None]
    distance = square - 2 * along + np.diagonal(among)
    own = np.arange(codes.size), codes
    inner = square - along - along[own][:, None] + among[codes]
    own_distance = distance[own]
    # The only row of a class is its mean, at distance zero from it: whatever it is multiplied by.
    grown = (counts / np.maximum(counts - 1, 1))[codes]
    taken = (1 - intensity) / n * grown
    left = np.maximum(1 - taken * own_distance, 1e-12)
    distance = distance + (taken / left)[:, None] * inner**2
    distance[own] = grown**2 * own_distance / left
    # Frequencies are those of all examples. Without the row its class would be one short: features that tell nothing
    # would then be scored below chance, at zero for classes of equal size.
    discriminants = np.log(counts) - 0.5 * distance
    discriminants[own] = np.where(counts[codes] > 1, discriminants[own], -np.inf)
    return discriminants, float((taken * own_distance).mean())


def estimate(data: ScoringInput) -> Estimate:
    """Leave-one-out accuracy of a linear discriminant with a shrunken within-class covariance.

    A row goes to the class of the largest log n_c - 1/2 (f - m_c)' S^-1 (f - m_c). S is the within-class covariance
    shrunk towards a multiple of the identity by the oracle approximating intensity, which needs only sums. Class
    frequencies n_c count the row itself, so that features which tell nothing give the share of the largest class. The
    only example of its class cannot be predicted and counts as a miss.

    Args:
        data: sums over (n, D) features of C classes, and at most 4,096 rows to predict.

    Returns:
        0 to 1.

    Raises:
        ScoreNotApplicable: no rows are at hand.
        NothingToSeparate: fewer than two classes occur.

    Source: Fisher 1936; Chen, Wiesel, Eldar & Hero, IEEE TSP 58 (2010), eq. 23 for the shrinkage.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[0.0], [1.0], [2.0], [8.0], [9.0], [10.0]])
        >>> score("lda", features, list("aaabbb"))
        1.0
    """
    rows = data.rows(LARGEST_SAMPLE)
    discriminants, leverage = leave_one_out_discriminants(data.once(Scatter.of_input), rows)
    return prediction_quality(losses_of(discriminants, rows), rows, leverage=leverage)


SCORE = Score(
    name="lda",
    title="LDA accuracy",
    citation="Fisher 1936; Chen et al., IEEE TSP 2010",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1",
    cost="one pass; one Cholesky factor, and D^2 for each of at most 4,096 rows",
    explanation="Accuracy of a linear discriminant on examples it has not seen.",
    estimate=estimate,
    lowest=0.0,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
    version=2,
)
