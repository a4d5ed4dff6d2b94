"""Complexity against the share of random labels: python -m benchmarks.discrepancy.random_labels

A share p of the examples, drawn by a seed, gets labels drawn uniformly over the classes. Printed for the squared loss
(the `head` space, from statistics, in nats), for the 0-1 loss of LogME's posterior (in errors, from rows), and for the
posterior's divergence alone (nats), with R^2 of a straight line through six shares; means over three seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.discrepancy.pack import features
from frontrunner.discrepancy import gibbs_complexity, head_complexity, head_discrepancy, unit_prior_scale
from frontrunner.statistics import FeatureStatistics

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SEEDS = (0, 1, 2)
IMAGES = {"cifar10": 2000, "dtd10": 800, "flowers5": 1200, "rsscn7": 980}

Complexity = Callable[[NDArray[Any], NDArray[np.int64]], float]


def with_random_labels(codes: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """`codes` with a share of them drawn anew, uniformly."""
    generator = np.random.default_rng(seed)
    changed = generator.permutation(codes.size)[: round(share * codes.size)]
    noisy = codes.copy()
    noisy[changed] = generator.integers(codes.max() + 1, size=changed.size)
    return noisy


def straightness(values: NDArray[np.float64]) -> float:
    """R^2 of the least-squares line through `values` at `SHARES`."""
    return float(np.corrcoef(SHARES, values)[0, 1] ** 2)


def squared(beta: float) -> Complexity:
    """The `head` space at one beta."""

    def of(matrix: NDArray[Any], codes: NDArray[np.int64]) -> float:
        statistics = FeatureStatistics().update(matrix, labels=codes)
        return head_complexity(statistics, beta=beta, prior_scale=unit_prior_scale(statistics)) / beta

    return of


def gibbs(beta: float) -> Complexity:
    """The 0-1 loss of LogME's posterior at one beta."""
    return lambda matrix, codes: gibbs_complexity(matrix, codes, beta=beta)


def divergence(matrix: NDArray[Any], codes: NDArray[np.int64]) -> float:
    """KL of LogME's posterior from its prior: what the head has learnt, without what it gets wrong."""
    return head_discrepancy(FeatureStatistics().update(matrix, labels=codes)).twice_kl / 2


def main() -> None:
    """One line for each set and loss."""
    losses = {"squared, beta 0.05": squared(0.05), "0-1, beta 0.05": gibbs(0.05), "KL alone": divergence}
    print("| set | loss | " + " | ".join(f"{share:.0%}" for share in SHARES) + " | R^2 |")
    print("|---" * (len(SHARES) + 3) + "|")
    for name, most in IMAGES.items():
        matrix, codes = features(name, most)
        for title, of in losses.items():
            rows = [[of(matrix, with_random_labels(codes, share, seed)) for share in SHARES] for seed in SEEDS]
            mean = np.mean(rows, axis=0)
            cells = " | ".join(f"{value:.0f}" for value in mean)
            print(f"| {name} | {title} | {cells} | {straightness(mean):.3f} |", flush=True)


if __name__ == "__main__":
    main()
