"""How well every score orders the pack's checkpoints: python -m benchmarks.ranking_quality [--write docs/benchmarks.md]

Reads the tables that `benchmarks.ranking_quality.truth` and `.scores` fill, and trains and reads nothing. A dataset
counts once every checkpoint was adapted to it. Beside the
scores stand what costs no forward pass: parameters, the number of features, and the static order, which is the mean
place of a checkpoint on the other datasets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.truth import IMAGE_SETS, TEXT_SETS
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.history import normal_scores
from frontrunner.evidence.quality import Figure, Quality, Truth, Values, noise_ceiling, quality, truth_of, values_of
from frontrunner.evidence.runs import MeasuredRun, MeasuredScore, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.ranking.prediction import ADAPTATIONS, Adaptation


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


def whole_datasets(runs: list[MeasuredRun], adaptation: Adaptation) -> Truth:
    """The truth on the datasets that every checkpoint was adapted to; others would compare scores on other terms."""
    made: dict[str, set[str]] = {}
    for run in runs:
        if run.adaptation == adaptation:
            made.setdefault(run.dataset, set()).add(run.checkpoint)
    every = set().union(*made.values())
    return truth_of([run for run in runs if made.get(run.dataset) == every], adaptation)


def read_tables(truth: Path, scores: Path, modality: str) -> tuple[list[MeasuredRun], list[MeasuredScore]]:
    """The runs of the usual protocol, and the scores of as many examples, of the pack's sets of one modality."""
    protocol, sets = Protocol(), IMAGE_SETS if modality == "image" else TEXT_SETS
    runs = [run for run in Table(truth, MeasuredRun) if run.protocol == protocol and run.dataset in sets]
    rows = [
        row
        for row in Table(scores, MeasuredScore)
        if (row.examples, row.sample) == (protocol.examples, 0) and row.dataset in sets
    ]
    return runs, rows


def qualities(truth: Truth, values: dict[str, Values]) -> list[Quality]:
    """Of every score, the highest weighted tau first."""
    found = [quality(name, each, truth) for name, each in values.items() if set(each) & set(truth.accuracies)]
    return sorted(found, key=lambda line: -line.weighted_tau.mean)


def table(found: Sequence[Quality], truth: Truth, title: str) -> str:
    """Markdown."""
    ceiling = noise_ceiling(truth)
    seeds = min(values.shape[1] for _, values in truth.accuracies.values())
    checkpoints = max(len(names) for names, _ in truth.accuracies.values())
    said = "one seed" if ceiling is None else f"{seeds} seeds, which agree with each other by tau_w {ceiling:.2f}"
    lines = [
        f"{title}: {len(truth.accuracies)} datasets, {checkpoints} checkpoints, {said}.",
        "",
        "| score | tau_w | Kendall | points lost | of the first three | share of the ceiling |",
        "|---|---|---|---|---|---|",
    ]
    for line in found:
        share = "-" if line.of_ceiling is None else f"{line.of_ceiling:.0%}"
        figures = (
            _figure(line.weighted_tau, 2),
            _figure(line.kendall, 2),
            _figure(line.regret, 1),
            _figure(line.regret_of_three, 1),
        )
        lines.append(f"| {line.score} | {' | '.join(figures)} | {share} |")
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
    parts = []
    for adaptation in ADAPTATIONS:
        truth = whole_datasets(runs, adaptation)
        if truth.accuracies:
            found = qualities(truth, values | {"static order": static_order(truth)})
            parts.append(table(found, truth, f"{adaptation} adaptation"))
    if not parts:
        sys.exit("no dataset is whole yet")
    text = "\n\n".join(parts)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text)


if __name__ == "__main__":
    main()
