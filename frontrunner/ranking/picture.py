"""A checkpoint's features as people see them: some examples in two dimensions, and the classes a probe confuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from scipy.linalg import eigh

from frontrunner.scores.linear_probe import held_out
from frontrunner.scores.sampling import stratified_sample
from frontrunner.scores.scoring_input import ScoringInput

# Examples in a picture: enough to see clouds, few enough to be kept for every checkpoint (3 kB).
POINTS = 300
# Coordinates are whole numbers up to this: finer than a screen shows.
GRID = 1000
# Pairs of classes that are named.
PAIRS = 10


class ConfusedPair(BaseModel):
    """Examples of one class that a linear probe takes for another, while it has not seen them."""

    true_class: str
    predicted: str
    count: int
    of: int = Field(description="Examples of the true class that were predicted.")


class Picture(BaseModel):
    """Some examples along the two leading principal components of a checkpoint's features."""

    points: list[tuple[int, int]] = Field(description=f"0 to {GRID} along both, in one scale.")
    explained: tuple[float, float] = Field(description="Shares of the variance that the components explain.")
    classes: list[str] | None = Field(description="Of the points, by label; None where there are no classes.")
    labels: list[int] | None = Field(description="Of each point, a place in `classes`.")
    targets: list[float] | None = Field(description="Of each point, where one number is estimated.")
    confused: list[ConfusedPair] = Field(
        default=[], description="What a linear probe confuses most, the most frequent first."
    )


class Points(BaseModel):
    """`Picture` without names, as it is kept beside the features: labels are codes of the dataset's classes."""

    points: list[tuple[int, int]]
    explained: tuple[float, float]
    labels: list[int] | None
    targets: list[float] | None


class Confusions(BaseModel):
    """What a linear probe confuses, as it is kept beside the features: (true, predicted, count, of) by code."""

    pairs: list[tuple[int, int, int, int]]


def points_of(data: ScoringInput, rows: int) -> Points:
    """At most `POINTS` of the examples in the plane of their two leading principal components.

    Args:
        data: with rows at hand.
        rows: of how many rows, at most, the points are a sample: a number that other scores read shares their copy.

    Example:
        >>> from frontrunner import FeatureStatistics
        >>> from frontrunner.shard import Shard
        >>> features, labels = np.array([[0.0, 0], [4, 0], [0, 1], [4, 1]]), np.array([0, 1, 0, 1])
        >>> data = ScoringInput(FeatureStatistics().update(features, labels), [Shard(features=features, labels=labels)])
        >>> found = points_of(data, rows=4)
        >>> sorted(found.points), [round(share, 2) for share in found.explained]
        ([(0, 0), (0, 250), (1000, 0), (1000, 250)], [0.94, 0.06])
    """
    read = data.rows(rows)
    taken = stratified_sample(read.codes, read.index.size, POINTS)
    centred = read.features[taken] - read.features[taken].mean(axis=0)
    # Of fewer points than features, the inner products have the same leading eigenvalues, at a fixed cost.
    inner = centred @ centred.T
    count = taken.size
    values, vectors = eigh(inner, subset_by_index=(max(count - 2, 0), count - 1))
    along = np.zeros((count, 2))
    along[:, : values.size] = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    along *= np.where(
        np.abs(along.max(axis=0)) >= np.abs(along.min(axis=0)), 1.0, -1.0
    )  # a sign that is the same anywhere
    along -= along.min(axis=0)
    whole = max(float(np.trace(inner)), np.finfo(np.float64).tiny)
    shares = np.zeros(2)
    shares[: values.size] = np.maximum(values[::-1], 0.0) / whole
    longest = float(along.max())
    placed = np.rint(GRID * along / longest).astype(int) if longest > 0 else along.astype(int)
    names = [] if read.codes is None else _codes(data)
    one_target = read.codes is None and read.outputs.shape[1] == 1
    return Points(
        points=[(int(x), int(y)) for x, y in placed],
        explained=(round(float(shares[0]), 4), round(float(shares[1]), 4)),
        labels=None if read.codes is None else [names[code] for code in read.codes[taken]],
        targets=[float(f"{value:.4g}") for value in read.outputs[taken, 0]] if one_target else None,
    )


def confusions_of(data: ScoringInput) -> Confusions:
    """The pairs of classes that the linear probe confuses most, over folds that it was not fitted to.

    Args:
        data: of classes, with rows at hand; the probe's fit is shared with the score of that name.
    """
    truth, predicted = data.once(held_out)
    names = _codes(data)
    wrong = truth != predicted
    found = Counter(zip(truth[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    totals = np.bincount(truth)
    return Confusions(
        pairs=[
            (names[true], names[taken_for], count, int(totals[true]))
            for (true, taken_for), count in sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:PAIRS]
        ]
    )


def picture_of(points: Points, confusions: Confusions | None, classes: Sequence[str]) -> Picture:
    """Both together, with the names of the dataset's `classes`."""
    present = None if points.labels is None else sorted(set(points.labels))
    place = {code: index for index, code in enumerate(present or ())}
    return Picture(
        points=points.points,
        explained=points.explained,
        classes=None if present is None else [classes[code] for code in present],
        labels=None if points.labels is None else [place[code] for code in points.labels],
        targets=points.targets,
        confused=[
            ConfusedPair(true_class=classes[true], predicted=classes[taken_for], count=count, of=of)
            for true, taken_for, count, of in ([] if confusions is None else confusions.pairs)
        ],
    )


def _codes(data: ScoringInput) -> list[int]:
    """The dataset's code of each class that occurs."""
    known: NDArray[np.object_] = np.array(data.statistics.classes, dtype=object)
    return [int(code) for code in known[data.columns]]
