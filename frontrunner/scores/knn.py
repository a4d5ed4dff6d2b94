"""kNN: leave-one-out accuracy (or R^2) of the five nearest neighbours by cosine similarity.

A baseline to compare the other scores with: it has no parameters to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.baseline import prediction_quality
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput, require_varying_targets
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 4096
NEIGHBOURS = 5
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class _Units:
    """Rows of unit length u = c + r about their mean c, for cosines that keep their digits.

    u_i'u_j = |c|^2 + c'r_i + c'r_j + r_i'r_j. Features that lie far from zero beside their spread have cosines that
    differ in digits which float32 does not hold; their residuals r do not. Seven digits of those order neighbours as
    well as sixteen, in half the time.

    Attributes:
        residuals: (m, D) r in float32.
        along: (m,) c'r.
        mean_square: |c|^2.
    """

    residuals: NDArray[np.float32]
    along: Floats
    mean_square: float

    @classmethod
    def of(cls, features: Floats) -> Self:
        """From rows (m, D); one of zeros stays zero, and its cosine with any is 0."""
        norm = np.linalg.norm(features, axis=1, keepdims=True)
        unit = np.divide(features, norm, out=np.zeros_like(features), where=norm > 0)
        centre = unit.mean(axis=0)
        unit -= centre
        return cls(unit.astype(np.float32), unit @ centre, float(centre @ centre))

    def similarity(self, rows: slice) -> NDArray[np.float32]:
        """(b, m) what orders all rows by their cosine with each of `rows`: c'r_j + r_i'r_j."""
        similarity = self.residuals[rows] @ self.residuals.T
        similarity += self.along.astype(np.float32)
        return similarity

    def cosine(self, similarity: NDArray[np.float32], rows: NDArray[np.int64]) -> Floats:
        """The cosines of `similarity` (b, k) for rows i (b,)."""
        return np.asarray(self.mean_square + self.along[rows, None] + similarity)


def estimate(data: ScoringInput) -> Estimate:
    """Leave-one-out accuracy, or R^2, of the mean target of the 5 nearest rows by cosine, weighted by 1 + cosine.

    The weights decide ties between classes in favour of the nearer one.

    Args:
        data: at most 4,096 rows of (n, D) features are read; any task.

    Returns:
        0 to 1 for classes; at most 1, and possibly negative, for real targets (R^2, averaged over columns).

    Raises:
        ScoreNotApplicable: no rows are at hand.
        InvalidFeatures: a column of real targets is the same for every example.

    Source: Cover & Hart, "Nearest neighbor pattern classification", 1967.

    Example:
        >>> from frontrunner.scores import score
        >>> angles = np.array([0.0, 0.1, 0.2, 1.4, 1.5, 1.6])  # two directions, three rows each
        >>> features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        >>> score("knn", features, [0, 0, 0, 1, 1, 1]), score("knn", features, [0, 1, 0, 1, 0, 1])
        (1.0, 0.0)
    """
    if not data.is_classification:
        require_varying_targets(data.statistics)
    rows = data.rows(LARGEST_SAMPLE)
    m = rows.index.size
    units = _Units.of(rows.features)
    neighbours = min(NEIGHBOURS, m - 1)
    predicted = np.zeros_like(rows.outputs)
    for start in range(0, m, _ROWS_AT_ONCE):
        similarity = units.similarity(slice(start, start + _ROWS_AT_ONCE))
        block = np.arange(similarity.shape[0])
        similarity[block, start + block] = -np.inf
        nearest = np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours]
        cosine = units.cosine(np.take_along_axis(similarity, nearest, axis=1), start + block)
        weight = np.maximum(1.0 + cosine, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        predicted[start : start + block.size] = np.einsum("bk,bkc->bc", weight, rows.outputs[nearest])
    return prediction_quality(predicted, rows, data)


SCORE = Score(
    name="knn",
    title="kNN accuracy",
    citation="Cover & Hart 1967",
    needs="features",
    tasks=EVERY_TASK,
    range="0 to 1 (accuracy); up to 1 (R^2)",
    cost="all pairs of at most 4,096 rows, m^2 D",
    explanation="Accuracy of asking the five most similar examples.",
    estimate=estimate,
    highest=1.0,
    largest_sample=LARGEST_SAMPLE,
    version=2,
)
