"""Prints how far NCE exceeds the truth with few examples, where it is marked as unreliable, and its cross-fitted form.

    python -m benchmarks.scores.source_classes [--draws 20]

Source class z means label z mod 5 with probability `known`, and any label otherwise, so the truth, -H(Y | Z), is known.
`too high` is the share of the draws in which it lies below the interval; `marked` the share called unreliable.
"""

from __future__ import annotations

import argparse

import numpy as np

from frontrunner import scores

CLASSES = 5
SHAPES = [(10, 200), (10, 5000), (100, 500), (100, 5000), (1000, 200), (1000, 2000), (1000, 20_000)]


def measured(source_classes: int, n: int, known: float, draws: int) -> list[float]:
    """Truth, then means over draws: NCE, half its interval, share too high, share marked, cross-fitted NCE."""
    generator = np.random.default_rng(0)
    hit, miss = known + (1 - known) / CLASSES, (1 - known) / CLASSES
    truth = hit * np.log(hit) + (CLASSES - 1) * miss * np.log(miss)
    found = []
    for _ in range(draws):
        z = generator.integers(source_classes, size=n)
        labels = np.where(generator.random(n) < known, z % CLASSES, generator.integers(CLASSES, size=n))
        shard = scores.shard_of(np.ones((n, 1)), labels, np.eye(source_classes)[z])
        values = scores.evaluate(["nce", "nce_cross_fitted"], shard.statistics(), [shard])
        nce = values["nce"]
        assert nce.low is not None
        found.append(
            (nce.value, nce.value - nce.low, truth < nce.low, nce.unreliable, values["nce_cross_fitted"].value)
        )
    return [truth, *np.mean(found, axis=0)]


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=20)
    draws = parser.parse_args().draws
    print("| source classes | n | known | truth | NCE | too high | marked | cross-fitted |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for known in (0.0, 0.5, 0.9):
        for source_classes, n in SHAPES:
            truth, nce, reach, high, marked, fitted = measured(source_classes, n, known, draws)
            print(
                f"| {source_classes:,} | {n:,} | {known:.1f} | {truth:.3f} | {nce:.3f} ± {reach:.3f} | {high:.0%} "
                f"| {marked:.0%} | {fitted:.3f} |"
            )


if __name__ == "__main__":
    main()
