"""What each score costs beside the forward passes: python -m benchmarks.ranking_quality.costs

Processor time for one checkpoint, sums and interval included and nothing shared with another score, on made-up features
of the table's usual size; the median of several runs. Replaces `benchmarks/ranking_quality/costs.csv`.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from frontrunner import scores
from frontrunner.discrepancy import head_discrepancy, leave_one_out_risk
from frontrunner.ranking.criteria import DISCREPANCY, PUBLISHED_RISK_BOUND, RISK_BOUND
from frontrunner.scores import ScoringInput
from frontrunner.scores.logme import evidence_of
from frontrunner.scores.score import CLASSIFICATION
from frontrunner.shard import Shard, fold

TABLE = Path(__file__).with_name("costs.csv")
EXAMPLES, FEATURES, CLASSES, SOURCE_CLASSES = 400, 1280, 10, 1000


def costs() -> dict[str, float]:
    """Seconds by score, as the committed table has them."""
    with TABLE.open(newline="") as file:
        return {row["score"]: float(row["seconds"]) for row in csv.DictReader(file)}


def made_up(seed: int = 0) -> list[Shard]:
    """Shards of 256 rows: classes that overlap, in features that are positive and correlated as real ones are."""
    generator = np.random.default_rng(seed)
    labels = np.arange(EXAMPLES) % CLASSES
    latent = generator.normal(size=(EXAMPLES, 64)) + generator.normal(size=(CLASSES, 64))[labels]
    features = np.maximum(latent @ generator.normal(size=(64, FEATURES)) / 8 + generator.normal(size=FEATURES), 0)
    logits = latent @ generator.normal(size=(64, SOURCE_CLASSES)) / 4
    source = np.exp(logits - logits.max(axis=1, keepdims=True))
    source /= source.sum(axis=1, keepdims=True)
    return [
        Shard(
            features=features[start : start + 256].astype(np.float32),
            labels=labels[start : start + 256],
            targets=None,
            source_probabilities=source[start : start + 256].astype(np.float32),
        )
        for start in range(0, EXAMPLES, 256)
    ]


def every_cost() -> dict[str, Callable[[ScoringInput], object]]:
    """What computes each score, by its name."""

    def of_score(name: str) -> Callable[[ScoringInput], object]:
        return lambda data: scores.evaluate_input([scores.describe(name)], data)

    def discrepancy(data: ScoringInput) -> object:
        spectrum, evidence = data.once(evidence_of)
        return head_discrepancy(data.statistics, None, spectrum=spectrum, evidence=evidence)

    def risk(data: ScoringInput) -> object:
        return discrepancy(data), data.once(leave_one_out_risk)

    known = {found.name: of_score(found.name) for found in scores.registered() if found.tasks >= CLASSIFICATION}
    return known | {DISCREPANCY: discrepancy, RISK_BOUND: risk, PUBLISHED_RISK_BOUND: risk}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality.costs", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    shards = made_up()
    taken: dict[str, list[float]] = {name: [] for name in every_cost()}
    for _ in range(arguments.runs):
        for name, compute in every_cost().items():
            started = time.process_time()
            compute(ScoringInput(fold(shards), shards))
            taken[name].append(time.process_time() - started)
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["score", "seconds", "lowest", "highest"])
        for name, seconds in taken.items():
            row = (statistics.median(seconds), min(seconds), max(seconds))
            writer.writerow([name, *(f"{value:.4f}" for value in row)])
            print(f"{name:24s} {1000 * row[0]:8.1f} ms ({1000 * row[1]:.1f} to {1000 * row[2]:.1f})")


if __name__ == "__main__":
    main()
