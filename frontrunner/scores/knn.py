"""kNN: leave-one-out accuracy (or R^2) of the five nearest neighbours by cosine similarity.

A baseline to compare the other scores with: it has no parameters to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.baseline import losses_of, prediction_quality
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

    The weights decide ties between classes in favour of the nearer one. Of rows in clusters no neighbour is of the
    row's own cluster.

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
    # One more than predict a row: it takes the place of a neighbour that is left out.
    kept = min(NEIGHBOURS + 1, m - 1)
    nearest, weights = np.empty((m, kept), dtype=np.int64), np.empty((m, kept))
    for start in range(0, m, _ROWS_AT_ONCE):
        similarity = units.similarity(slice(start, start + _ROWS_AT_ONCE))
        block = np.arange(similarity.shape[0])
        similarity[block, start + block] = -np.inf
        if rows.clusters is not None:  # a cluster is left out as one
            own = rows.clusters[start : start + block.size, None] == rows.clusters
            similarity[own] = -np.inf
        candidates = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
        closeness = np.take_along_axis(similarity, candidates, axis=1)
        order = np.argsort(-closeness, axis=1)
        into = slice(start, start + block.size)
        nearest[into] = np.take_along_axis(candidates, order, axis=1)
        cosine = units.cosine(np.take_along_axis(closeness, order, axis=1), start + block)
        weights[into] = np.maximum(1.0 + cosine, 1e-6)

    def losses(places: NDArray[np.int64]) -> Floats:
        weight = weights[:, places] / weights[:, places].sum(axis=1, keepdims=True)
        return losses_of(np.einsum("mk,mkc->mc", weight, rows.outputs[nearest[:, places]]), rows)

    predicting = np.arange(min(NEIGHBOURS, kept))
    found = losses(predicting)

    def trained() -> Floats:
        if kept < 2:
            return np.zeros_like(found)
        grown = np.zeros_like(found)
        steps = [losses(np.delete(np.arange(kept), place)) - found for place in predicting]
        for place, step in zip(predicting, steps, strict=True):
            np.add.at(grown, nearest[:, place], step)
        return grown * np.sqrt(_reliability(grown, np.concatenate(steps)))

    return prediction_quality(found, rows, trained)


def _reliability(sums: Floats, steps: Floats) -> Floats:
    """(K,) the share of the variance of `sums` (m, K) that is the rows' own rather than that of their single `steps`.

    Whether a prediction flips when a neighbour leaves hangs on the predicted row as much as on the neighbour. That part
    counts in the losses already; counted twice, it would make intervals 1.6 times too wide.
    """
    spread = ((sums - sums.mean(axis=0)) ** 2).sum(axis=0)
    noise = ((steps - steps.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.divide(spread - noise, spread, out=np.zeros_like(spread), where=noise < spread))


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
