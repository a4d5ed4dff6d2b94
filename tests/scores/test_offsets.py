"""An offset that all rows share changes no score that is defined without it, however large it is beside the spread.

Features are multiples of 1/64, so adding the offset rounds none of them.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.covariance import ledoit_wolf_shrinkage

from frontrunner import scores
from frontrunner.scores.regularized_h_score import ledoit_wolf_intensity
from frontrunner.shard import Shard, fold

INDIFFERENT = [
    name
    for name in scores.names()
    if scores.describe(name).needs != "source_probabilities" and name not in ("logme", "energy", "knn")
]


def made(n: int, dimension: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.arange(n) % classes
    features = generator.normal(size=(n, dimension)) + 0.3 * generator.normal(size=(classes, dimension))[labels]
    return np.round(features * 64) / 64, labels


@pytest.mark.parametrize("offset", [3e3, 1e5, 1e7])
@pytest.mark.parametrize("shape", [(300, 20), (60, 90)])
@pytest.mark.parametrize("name", INDIFFERENT)
def test_an_offset_changes_nothing(name: str, shape: tuple[int, int], offset: float) -> None:
    features, labels = made(*shape)
    shards = [Shard(features[rows] + offset, labels=labels[rows]) for rows in np.array_split(np.arange(shape[0]), 3)]
    found = scores.evaluate([name], fold(shards), shards)[name]
    assert found.value == pytest.approx(scores.score(name, features, labels), rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 3e3, 1e4, 1e5])
def test_the_regularised_h_score_is_the_same_at_any_offset(offset: float) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 4
    features = generator.normal(size=(300, 20)) + 0.3 * generator.normal(size=(4, 20))[labels]
    assert scores.score("regularized_h_score", features + offset, labels) == pytest.approx(0.433, abs=5e-4)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7])
def test_the_shrinkage_is_that_of_scikit_learn_at_any_offset(offset: float) -> None:
    features, labels = made(80, 12)
    found = ledoit_wolf_intensity(scores.statistics_of(features + offset, labels))
    assert found == pytest.approx(ledoit_wolf_shrinkage(features), rel=1e-7)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("shape", [(60, 8), (24, 40), (60, 2), (60, 1)])
def test_logme_keeps_its_digits_at_any_offset(shape: tuple[int, int], offset: float) -> None:
    features, labels = made(*shape, classes=3)
    assert scores.score("logme", features + offset, labels) == pytest.approx(
        evidence_in_sixty_digits(features + offset, labels), rel=1e-9
    )


def evidence_in_sixty_digits(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME by an eigendecomposition in 60 digits and a plain search over log t."""
    n, dimension = features.shape
    with mpmath.workdps(60):
        f, y = mpmath.matrix(features.tolist()), mpmath.matrix(np.eye(3)[labels].tolist())
        values, vectors = mpmath.eigsy(f.T * f if dimension < n else f * f.T)
        projected = vectors.T * (f.T * y if dimension < n else y)
        squared = np.array([float(v) for v in values])
        scale = values if dimension < n else [mpmath.mpf(1)] * n
        projections = np.array([[float(projected[i, c] ** 2 / scale[i]) for c in range(3)] for i in range(len(values))])
    found = []
    for c, count in enumerate(np.bincount(labels)):
        z = projections[:, c]
        rest = max(count - z.sum(), 0.0) if dimension < n else 0.0

        def loss(u: float, z: np.ndarray = z, rest: float = rest) -> float:
            lost = np.exp(u) / (np.exp(u) + squared)
            q = float((z * lost).sum() + rest)
            return n / 2 * (np.log(2 * np.pi * q / n) + 1) + 0.5 * float(np.log1p(squared / np.exp(u)).sum())

        grid = np.linspace(np.log(squared.min()) - 25, np.log(squared.max()) + 25, 1500)
        best = int(np.argmin([loss(u) for u in grid]))
        ends = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
        refined = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9})
        found.append(-min(refined.fun, loss(grid[best])) / n)
    return float(np.mean(found))


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_neighbours_are_those_of_cosines_in_eighty_bits(offset: float) -> None:
    # Two opposite directions from a far point; cosines with zero differ in the ninth digit and beyond.
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 2
    direction = np.array([1.0, -1.0, 2.0, -2.0, 0.0])
    features = offset + generator.normal(size=(120, 5)) * 0.2 + np.where(labels == 0, 1.0, -1.0)[:, None] * direction
    wide = features.astype(np.longdouble)
    unit = wide / np.sqrt((wide**2).sum(axis=1, keepdims=True))
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    nearest = np.argsort(-cosine, axis=1)[:, :5]
    weight = 1 + np.take_along_axis(cosine, nearest, axis=1)
    votes = (weight[:, :, None] * np.eye(2)[labels][nearest]).sum(axis=1)
    expected = float((votes.argmax(axis=1) == labels).mean())
    assert expected == 1.0
    assert scores.score("knn", features, labels) == expected


def test_a_single_feature_has_its_h_scores() -> None:
    # T = 5, B = 4; a covariance of one feature is not changed by shrinkage, and class means divide by n - 1.
    features = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert scores.score("h_score", features, [0, 0, 1, 1]) == pytest.approx(4 / 5, rel=1e-12)
    assert scores.score("regularized_h_score", features, [0, 0, 1, 1]) == pytest.approx(4 / 5 * 4 / 3, rel=1e-12)


@pytest.mark.parametrize("counts", [(10, 10, 10, 10), (25, 10, 5)])
@pytest.mark.parametrize("name", ["lda", "ridge_probe", "linear_probe"])
def test_constant_features_give_the_share_of_the_largest_class(name: str, counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    assert scores.score(name, np.full((40, 3), 3.7), labels) == pytest.approx(max(counts) / 40, abs=1e-12)
