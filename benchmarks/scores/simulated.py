"""Simulated datasets and checkpoints of equal merit, for the coverage of intervals and comparisons.

All checkpoints of a dataset have the same distribution and share part of their noise, as checkpoints that read the same
examples do: every score has the same expectation for each of them, so whoever calls one of them better is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from frontrunner.scores import Draw, shard_of
from frontrunner.shard import Shard

SOURCE_CLASSES = 8
# Share of a feature's variance within classes that all checkpoints have in common.
_COMMON = 0.5


@dataclass(frozen=True)
class Situation:
    """How examples are drawn.

    Attributes:
        name: as the table prints it.
        n: examples.
        dimension: D.
        shares: the probability of each class; empty for regression with heavy-tailed targets (Student's t, 3 degrees
            of freedom, as noise).
        gap: standard deviation of the class centres, over that within classes.
    """

    name: str
    n: int
    dimension: int
    shares: tuple[float, ...] = ()
    gap: float = 0.5


SITUATIONS = (
    Situation("balanced", 200, 12, (0.25, 0.25, 0.25, 0.25)),
    Situation("imbalanced", 200, 12, (0.52, 0.26, 0.13, 0.06, 0.03)),
    Situation("D > n", 80, 120, (0.4, 0.3, 0.3), gap=0.25),
    Situation("regression", 200, 12),
)


def draws_of(situation: Situation) -> tuple[Draw, ...]:
    """The draws that a situation has: real targets have no classes to hold."""
    return ("examples", "within_classes") if situation.shares else ("examples",)


def datasets(situation: Situation, draw: Draw, checkpoints: int, runs: int, seed: int = 0) -> Iterator[list[Shard]]:
    """`runs` datasets, each as read by `checkpoints` checkpoints: one shard a checkpoint.

    Args:
        situation: how examples are drawn.
        draw: whether class counts are drawn with the examples or held at their expectation.
        checkpoints: how many of equal merit read each dataset.
        runs: how many datasets.
        seed: the same seed gives the same datasets.
    """
    generator = np.random.default_rng(seed)
    dimension = situation.dimension
    # The world is the same in every run; only the examples are drawn.
    world = np.random.default_rng(12345)
    scale = np.exp(-np.arange(dimension) / dimension)
    head = world.normal(size=(dimension, SOURCE_CLASSES)) / np.sqrt(dimension)
    direction = world.normal(size=dimension) / np.sqrt(dimension)
    centres = situation.gap * world.normal(size=(max(len(situation.shares), 1), dimension))
    for _ in range(runs):
        common = generator.normal(size=(situation.n, dimension))
        codes = _labels(situation, draw, generator)
        targets = common @ direction + 0.7 * generator.standard_t(3, size=situation.n)
        shards = []
        for _ in range(checkpoints):
            own = generator.normal(size=common.shape)
            features = np.sqrt(_COMMON) * common + np.sqrt(1 - _COMMON) * own
            if not situation.shares:
                shards.append(shard_of(scale * features, targets))
                continue
            features = scale * (features + centres[codes])
            shards.append(shard_of(features, codes, softmax(2 * features @ head, axis=1)))
        yield shards


def _labels(situation: Situation, draw: Draw, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n,) classes in random order; zeros for regression."""
    n, shares = situation.n, np.array(situation.shares)
    if not shares.size:
        return np.zeros(n, dtype=np.int64)
    if draw == "examples":
        return generator.choice(shares.size, size=n, p=shares)
    counts = np.rint(n * shares).astype(np.int64)
    counts[0] += n - counts.sum()
    return generator.permutation(np.repeat(np.arange(shares.size), counts))
