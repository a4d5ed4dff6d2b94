"""Predicted accuracy, left-one-dataset-out: python -m benchmarks.ranking_quality.predictor

For each set of columns: how often 90% intervals hold the accuracy on the dataset that was left out, how wide they are,
how far the median is off, and how well the predictions order the checkpoints.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.ranking_quality.__main__ import read_tables, whole_datasets
from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.prediction import AccuracyModel, Observation
from frontrunner.evidence.quality import quality
from frontrunner.evidence.runs import Adaptation, MeasuredRun, MeasuredScore

CANDIDATES: dict[str, tuple[str, ...]] = {
    "probe": ("linear_probe accuracy",),
    "probe, size": ("linear_probe accuracy", "log parameters"),
    "probe, logme": ("linear_probe accuracy", "logme"),
    "probe, logme, size": ("linear_probe accuracy", "logme", "log parameters"),
    "probe, ridge, lda": ("linear_probe accuracy", "ridge_probe accuracy", "lda accuracy"),
    "probe, kNN": ("linear_probe accuracy", "knn accuracy"),
    "probe, kNN, logme, size": ("linear_probe accuracy", "knn accuracy", "logme", "log parameters"),
    "probe, width, size": ("linear_probe accuracy", "log feature_dimension", "log parameters"),
    "probe, ridge, logme, gbc, size": (
        "linear_probe accuracy",
        "ridge_probe accuracy",
        "logme",
        "gbc",
        "log parameters",
    ),
}


def observations(runs: list[MeasuredRun], rows: list[MeasuredScore], adaptation: Adaptation) -> list[Observation]:
    """One for each completed pair: scores, and their logarithms and shares under the names that columns use."""
    values: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        columns = values[row.dataset, row.checkpoint]
        columns[row.score] = columns[f"{row.score} accuracy"] = row.value
        columns[f"log {row.score}"] = float(np.log(max(row.value, 1e-9)))
    truth = whole_datasets(runs, adaptation)
    return [
        Observation(dataset=dataset, checkpoint=name, columns=values[dataset, name], accuracy=accuracy)
        for dataset in truth.accuracies
        for name, accuracy in truth.mean(dataset).items()
        if (dataset, name) in values
    ]


def main() -> None:
    """Reads the tables and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality.predictor", description=__doc__)
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--adaptation", default="full")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    runs, rows = read_tables(arguments.truth, arguments.scores, "image")
    found = observations(runs, rows, arguments.adaptation)
    truth = whole_datasets(runs, arguments.adaptation)
    datasets = list(dict.fromkeys(each.dataset for each in found))
    lines = [
        f"{len(found)} results on {len(datasets)} datasets: {', '.join(datasets)}.",
        "",
        "| columns | in 90% intervals | width | median error | tau_w | points lost | between | within |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, columns in CANDIDATES.items():
        inside, widths, errors, orders = [], [], [], {}
        for dataset in datasets:
            model = AccuracyModel.fit(
                [each for each in found if each.dataset != dataset], columns, arguments.adaptation
            )
            left = [each for each in found if each.dataset == dataset]
            predicted = model.predict(left)
            for each, line in zip(left, predicted, strict=True):
                assert each.accuracy is not None
                inside.append(line.low <= each.accuracy <= line.high)
                widths.append(line.high - line.low)
                errors.append(abs(line.accuracy - each.accuracy))
            orders[dataset] = {each.checkpoint: line.accuracy for each, line in zip(left, predicted, strict=True)}
        whole, order = AccuracyModel.fit(found, columns, arguments.adaptation), quality(title, orders, truth)
        figures = (
            f"{np.mean(inside):.0%}",
            f"{100 * np.mean(widths):.1f}",
            f"{100 * np.median(errors):.1f}",
            f"{order.weighted_tau.mean:.2f}",
            f"{order.regret.mean:.1f}",
            f"{whole.between**0.5:.2f}",
            f"{whole.within**0.5:.2f}",
        )
        lines.append(f"| {title} | {' | '.join(figures)} |")
    text = "\n".join(lines)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "predictor")


if __name__ == "__main__":
    main()
