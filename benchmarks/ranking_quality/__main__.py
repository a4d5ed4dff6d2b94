"""How well every score orders the pack's checkpoints: python -m benchmarks.ranking_quality [--write docs/benchmarks.md]

Reads the tables that `benchmarks.ranking_quality.truth` and `.scores` fill, and trains and reads nothing. A dataset
counts once every checkpoint was adapted to it. Beside the
scores stand what costs no forward pass: parameters, the number of features, and the static order, which is the mean
place of a checkpoint on the other datasets. Predicted accuracy is that of a model that has not seen the dataset.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.ranking_quality.costs import costs
from benchmarks.ranking_quality.predictor import CHOSEN, evidence, left_out
from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.tables import read_tables, whole_datasets
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.history import normal_scores
from frontrunner.evidence.quality import Figure, Quality, Truth, Values, noise_ceiling, noise_regret, quality, values_of
from frontrunner.evidence.runs import MeasuredRun
from frontrunner.ranking.prediction import ADAPTATIONS, PREDICTED_ACCURACY


def static_order(truth: Truth) -> dict[str, dict[str, float]]:
    """Of every dataset: the mean normal score of each checkpoint over the other datasets."""
    places = {
        dataset: dict(zip(names, normal_scores(values.mean(axis=1)), strict=True))
        for dataset, (names, values) in truth.accuracies.items()
    }
    order: dict[str, dict[str, float]] = {}
    for dataset, (names, _) in truth.accuracies.items():
        others = [places[other] for other in places if other != dataset]
        known = {name: [found[name] for found in others if name in found] for name in names}
        order[dataset] = {name: float(np.mean(found)) for name, found in known.items() if found}
    return order


def full_adaptation(runs: list[MeasuredRun]) -> dict[str, dict[str, float]]:
    """What fine-tuning as a whole reaches: how far one order serves for all adaptations."""
    truth = whole_datasets(runs, "full")
    return {dataset: truth.mean(dataset) for dataset in truth.accuracies}


def qualities(truth: Truth, values: dict[str, Values]) -> list[Quality]:
    """Of every score, the highest weighted tau first."""
    found = [quality(name, each, truth) for name, each in values.items() if set(each) & set(truth.accuracies)]
    return sorted(found, key=lambda line: -line.weighted_tau.mean)


def table(found: Sequence[Quality], truth: Truth, title: str) -> str:
    """Markdown."""
    ceiling = noise_ceiling(truth)
    counts = sorted({values.shape[1] for _, values in truth.accuracies.values()})
    seeds = " or ".join(map(str, counts))
    checkpoints = max(len(names) for names, _ in truth.accuracies.values())
    said = "one seed"
    if ceiling is not None:
        said = (
            f"{seeds} seeds, which agree with each other by tau_w {ceiling:.2f}; the best checkpoint by one seed loses "
        )
        said += f"{noise_regret(truth):.1f} points under another"
    seconds = costs()
    lines = [
        f"{title}: {len(truth.accuracies)} datasets, {checkpoints} checkpoints, {said}.",
        "",
        "| score | tau_w | Kendall | points lost | of the first three | share of the ceiling | cost, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in found:
        share = "-" if line.of_ceiling is None else f"{line.of_ceiling:.0%}"
        figures = (
            _figure(line.weighted_tau, 2),
            _figure(line.kendall, 2),
            _figure(line.regret, 1),
            _figure(line.regret_of_three, 1),
        )
        cost = f"{1000 * seconds[line.score]:.3g}" if line.score in seconds else "-"
        lines.append(f"| {line.score} | {' | '.join(figures)} | {share} | {cost} |")
    return "\n".join(lines)


def _figure(figure: Figure, digits: int) -> str:
    spread = "" if figure.error is None else f" ± {figure.error:.{digits}f}"
    return f"{figure.mean:.{digits}f}{spread}"


def main() -> None:
    """Reads the arguments and the tables, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality", description=__doc__)
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--modality", choices=("image", "text"), default="image")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    runs, rows = read_tables(arguments.truth, arguments.scores, arguments.modality)
    values = values_of(rows)
    known = {} if arguments.modality == "text" else evidence(arguments.truth, arguments.scores)
    parts = []
    for adaptation in ADAPTATIONS:
        truth = whole_datasets(runs, adaptation)
        if truth.accuracies and (arguments.modality == "text" or adaptation in known):
            every = values | {"static order": static_order(truth)}
            if adaptation != "full":
                every["full adaptation"] = full_adaptation(runs)
            if adaptation in known:
                every[PREDICTED_ACCURACY] = left_out(known[adaptation], CHOSEN)
            found = qualities(truth, every)
            parts.append(table(found, truth, f"{adaptation} adaptation"))
    if not parts:
        sys.exit("no dataset is whole yet")
    text = "\n\n".join(parts)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text)


if __name__ == "__main__":
    main()
