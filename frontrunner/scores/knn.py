"""kNN: leave-one-out accuracy (or R^2) of the five nearest neighbours by cosine similarity.

A baseline to compare the other scores with: it has no parameters to fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.baseline import losses_of, prediction_quality
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput, require_varying_targets
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 4096
NEIGHBOURS = 5
_ROWS_AT_ONCE = 1024
RHO=[]


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
    norm = np.linalg.norm(rows.features, axis=1, keepdims=True)
    # Cosines to seven digits order neighbours as well as sixteen do, in half the time.
    unit = np.divide(rows.features, norm, out=np.zeros_like(rows.features), where=norm > 0).astype(np.float32)
    # One more than predict a row: it takes the place of a neighbour that is left out.
    kept = min(NEIGHBOURS + 1, m - 1)
    nearest, weights = np.empty((m, kept), dtype=np.int64), np.empty((m, kept))
    for start in range(0, m, _ROWS_AT_ONCE):
        similarity = unit[start : start + _ROWS_AT_ONCE] @ unit.T
        block = np.arange(similarity.shape[0])
        similarity[block, start + block] = -np.inf
        candidates = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
        cosine = np.take_along_axis(similarity, candidates, axis=1).astype(np.float64)
        order = np.argsort(-cosine, axis=1)
        nearest[start : start + block.size] = np.take_along_axis(candidates, order, axis=1)
        weights[start : start + block.size] = np.maximum(1.0 + np.take_along_axis(cosine, order, axis=1), 1e-6)

    def losses(places: NDArray[np.int64]) -> Floats:
        weight = weights[:, places] / weights[:, places].sum(axis=1, keepdims=True)
        return losses_of(np.einsum("mk,mkc->mc", weight, rows.outputs[nearest[:, places]]), rows)

    predicting = np.arange(min(NEIGHBOURS, kept))
    found = losses(predicting)

    def trained() -> Floats:
        grown, noise, steps = np.zeros_like(found), 0.0, []
        for place in predicting if kept > 1 else ():
            step = losses(np.delete(np.arange(kept), place)) - found
            np.add.at(grown, nearest[:, place], step)
            steps.append(step)
        step = np.concatenate(steps)
        noise = ((step - step.mean(axis=0))**2).sum(axis=0)
        all_ = ((grown - grown.mean(axis=0))**2).sum(axis=0)
        rho = np.clip(1 - noise/np.maximum(all_,1e-300), 0, 1)
        RHO.append(rho.mean())
        return grown * np.sqrt(rho)

    return prediction_quality(found, rows, trained)


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
)
