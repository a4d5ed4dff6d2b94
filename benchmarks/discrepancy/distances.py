"""Complexities and distances of the pack's image sets: python -m benchmarks.discrepancy.distances [--plot FILE]

The pairs were written down before any of them was measured. The rule: the set with more classes is the rich one, no
set occurs twice, every set is drawn to 800 images. As more classes mean more columns to describe, the same pairs are
measured again with the rich set cut to as many classes and images as the simple one has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.discrepancy.pack import CHECKPOINT, features
from frontrunner.discrepancy import TaskDistances, task_distances
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


def print_matrix(found: TaskDistances) -> None:
    """The distances between all sets, from the row to the column, in nats: divided by beta."""
    print(f"\n{CHECKPOINT}, {IMAGES} images each, beta {found.beta}, lambda {found.prior_scale:.3g}; nats\n")
    print("| from \\ to | C | " + " | ".join(found.names) + " |")
    print("|---" * (len(found.names) + 2) + "|")
    for row, name in enumerate(found.names):
        cells = " | ".join(f"{distance / found.beta:.0f}" for distance in found.distance[row])
        print(f"| {name} | {found.complexity[row] / found.beta:.0f} | {cells} |")


def plot_matrix(found: TaskDistances, path: Path) -> None:
    """The same as a picture, tasks in order of their complexity; colours are logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.colors import LogNorm

    order = np.argsort(found.complexity)
    names = [f"{found.names[i]} ({found.complexity[i] / found.beta:,.0f})" for i in order]
    nats = found.distance[np.ix_(order, order)] / found.beta
    shown = np.where(nats > 0, nats, np.nan)
    figure, axes = pyplot.subplots(figsize=(9.5, 8), layout="constrained")
    norm = LogNorm(np.nanmin(shown), np.nanmax(shown))
    picture = axes.imshow(shown, cmap="viridis", norm=norm)
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            colour = "white" if norm(value) < 0.6 else "black"
            axes.text(column, row, f"{value / 1000:.1f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), [found.names[i] for i in order], rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("to")
    axes.set_ylabel("from (complexity, nats)")
    axes.set_title(f"What a task adds for one who knows another, thousand nats\n{CHECKPOINT}, {IMAGES} images each")
    figure.colorbar(picture, label="nats", shrink=0.8)
    figure.savefig(path, dpi=100, metadata={"Software": None})


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discrepancy.distances")
    parser.add_argument("--plot", type=Path, help="Write the matrix as a picture and print nothing.")
    plot = parser.parse_args().plot
    matrix = task_distances({name: statistics_of(name) for name in SETS})
    if plot is not None:
        plot_matrix(matrix, plot)
    else:
        print_pairs()
        print_matrix(matrix)
