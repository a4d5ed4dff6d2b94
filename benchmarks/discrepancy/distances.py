"""Complexities and distances of the pack's image sets: python -m benchmarks.discrepancy.distances

The pairs were written down before any of them was measured. The rule: the set with more classes is the rich one, no
set occurs twice, every set is drawn to 800 images. As more classes mean more columns to describe, the same pairs are
measured again with the rich set cut to as many classes and images as the simple one has.
"""

from __future__ import annotations

import numpy as np

from benchmarks.discrepancy.pack import CHECKPOINT, features
from frontrunner.discrepancy import task_distances
from frontrunner.statistics import FeatureStatistics

PAIRS = (
    ("cifar10", "pneumonia_xray"),
    ("clothing10", "trashnet"),
    ("dtd10", "flowers5"),
    ("omniglot60", "signdigits"),
    ("pacs_sketch", "brain_mri4"),
)
SETS = (*sorted(name for pair in PAIRS for name in pair), "rsscn7")
IMAGES = 800
BETAS = (0.01, 0.05, 0.2)


def statistics_of(name: str, classes: int | None = None, most: int = IMAGES) -> FeatureStatistics:
    """Of `most` images of the first `classes` classes."""
    matrix, codes = features(name, 2000 if classes else IMAGES)
    chosen = np.flatnonzero(codes < classes)[:most] if classes else np.arange(codes.size)[:most]
    chosen = np.random.default_rng(0).permutation(chosen)
    return FeatureStatistics().update(matrix[chosen], labels=codes[chosen])


def print_matrix() -> None:
    """The distances between all sets, from the row to the column, in nats: divided by beta."""
    found = task_distances({name: statistics_of(name) for name in SETS})
    print(f"\n{CHECKPOINT}, {IMAGES} images each, beta {found.beta}, lambda {found.prior_scale:.3g}; nats\n")
    print("| from \\ to | C | " + " | ".join(found.names) + " |")
    print("|---" * (len(found.names) + 2) + "|")
    for row, name in enumerate(found.names):
        cells = " | ".join(f"{distance / found.beta:.0f}" for distance in found.distance[row])
        print(f"| {name} | {found.complexity[row] / found.beta:.0f} | {cells} |")


def print_pairs() -> None:
    """Each pair as it is, and with classes and images made equal."""
    print("\n| rich -> simple | beta | d(rich -> simple) | d(simple -> rich) | holds | equal classes: | | holds |")
    print("|---|---|---|---|---|---|---|---|")
    for beta in BETAS:
        for rich, simple in PAIRS:
            cells = []
            for equal in (False, True):
                first, second = (statistics_of(rich), statistics_of(simple)) if not equal else equal_pair(rich, simple)
                distance = task_distances({rich: first, simple: second}, beta=beta).distance / beta
                holds = "yes" if distance[0, 1] < distance[1, 0] else "no"
                cells.append(f"{distance[0, 1]:.0f} | {distance[1, 0]:.0f} | {holds}")
            print(f"| {rich} -> {simple} | {beta} | {cells[0]} | {cells[1]} |")


def equal_pair(rich: str, simple: str) -> tuple[FeatureStatistics, FeatureStatistics]:
    """Both with the simple set's number of classes and equally many images."""
    target = statistics_of(simple)
    classes = len(target.classes or ())
    cut = statistics_of(rich, classes)
    most = min(cut.n, target.n)
    return statistics_of(rich, classes, most), statistics_of(simple, most=most)


if __name__ == "__main__":
    print_pairs()
    print_matrix()
