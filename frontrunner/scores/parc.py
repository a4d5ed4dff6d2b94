"""PARC: rank correlation between the distances of features and those of labels, over pairs of rows.

The label distance takes two values only, so nearly all of its ranks are ties. Code that computes it by a matrix product
in floating point breaks the ties by the last bit, unless the number of classes is a power of two. The result then
depends on how classes are numbered and on the processor's BLAS kernel (measured: 33.8 to 34.5 for one dataset of five
classes, where exact ties give 34.2). Here the label distance is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from frontrunner.scores.influence import Influence
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats

# 1024 rows are half a million pairs; the paper takes 500 rows.
LARGEST_SAMPLE = 1024


def row_correlations(features: Floats) -> Floats:
    """(m, m) Pearson correlation of the rows of column-standardised `features` (m, D).

    Columns that do not vary are zero; a row that does not vary (always so for D = 1) correlates with none.
    """
    centred = features - features.mean(axis=0)
    spread = centred.std(axis=0)
    varying = spread > 1e-12 * np.abs(features).max(axis=0)
    standard = np.divide(centred, spread, out=np.zeros_like(centred), where=varying)
    standard -= standard.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(standard, axis=1, keepdims=True)
    largest = float(norm.max())
    standard = np.divide(standard, norm, out=np.zeros_like(standard), where=norm > 1e-12 * largest)
    return np.asarray(standard @ standard.T)


def _label_distance(codes: NDArray[np.int64]) -> Floats:
    """(m, m) the order of 1 - corr of one-hot labels, which is 0 for the same class and C/(C - 1) otherwise.

    Ranks need only the order of the two values, so the larger one is 1.
    """
    return np.asarray((codes[:, None] != codes).astype(np.float64))


def _correlation(sums: Floats) -> float:
    """Pearson from [pairs, sum r, sum r^2, sum d, sum r d] with d either 0 or 1; 0 where either is constant."""
    count, r, rr, d, rd = sums
    if count == 0:
        return 0.0
    spread = (rr - r * r / count) * (d - d * d / count)
    # Ranks are centred, so a spread of rounding only is small beside their squares.
    if spread <= 1e-20 * max(rr, 1.0) * count:
        return 0.0
    return float((rd - r * d / count) / np.sqrt(spread))


def estimate(data: ScoringInput) -> Estimate:
    """100 times Spearman's correlation, over all pairs of rows, of 1 - corr(f_i, f_j) with 1 - corr(y_i, y_j).

    Features are standardised by column; y are one-hot labels; corr is Pearson's correlation of two rows.

    Args:
        data: at most 1,024 rows of (n, D) features with their classes are read.

    Returns:
        -100 to 100; 0 where all distances are equal.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: Bolya, Mittapalli & Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning",
    NeurIPS 2021.

    Example:
        >>> from frontrunner.scores import score
        >>> features = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        >>> round(score("parc", features, [0, 0, 1, 1]), 6), round(score("parc", features, [0, 1, 0, 1]), 6)
        (100.0, -50.0)
    """
    rows = data.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    m = codes.size
    above = np.triu_indices(m, 1)
    # Equal distances must tie though their sums were rounded differently: 1e-12 is far below any real difference.
    distance = np.round(1.0 - row_correlations(rows.features)[above], 12)
    different = _label_distance(codes)
    ranks = np.zeros((m, m))
    ranks[above] = rankdata(distance) - (distance.size + 1) / 2
    ranks += ranks.T
    tables = (1.0 - np.eye(m), ranks, ranks**2, different, ranks * different)
    whole = np.array([table.sum() for table in tables]) / 2
    value = 100.0 * _correlation(whole)

    def influence() -> Influence:
        # Ranks among all pairs are kept when a row leaves: to first order they are ranks among the rest.
        by_row = np.stack([table.sum(axis=1) for table in tables])
        without = [_correlation(sums) for sums in (whole[:, None] - by_row).T]
        return Influence.of_leaving_out(100.0 * np.array(without), rows.index)

    return Estimate(value, value, influence)


SCORE = Score(
    name="parc",
    title="PARC",
    citation="Bolya et al., NeurIPS 2021",
    needs="features",
    tasks=CLASSIFICATION,
    range="-100 to 100",
    cost="all pairs of at most 1,024 rows, m^2 D",
    explanation="Whether examples that look alike to the checkpoint have the same label.",
    estimate=estimate,
    lowest=-100.0,
    highest=100.0,
    largest_sample=LARGEST_SAMPLE,
)
