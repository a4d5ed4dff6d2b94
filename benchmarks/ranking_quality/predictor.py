"""Predicted accuracy, chosen, confirmed and fitted: python -m benchmarks.ranking_quality.predictor

Every other dataset, by name, is for choosing which columns predict; the others confirm the choice, predicted by what
was fitted to the first half. Then all datasets, left-one-dataset-out: how often 90% intervals hold the accuracy, how
wide they are, how far the median is off, and how well the predictions order the checkpoints. Runs on more examples
count too, but in the orders. `--ship` fits the chosen columns to all datasets and replaces the library's models.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.tables import MORE_EXAMPLES, observations, read_tables, whole_datasets
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.prediction import Observation, fit_accuracy_model
from frontrunner.evidence.quality import Truth, quality
from frontrunner.evidence.runs import Protocol
from frontrunner.ranking.prediction import ADAPTATIONS, AccuracyModel, Adaptation, Prediction

# Each half must hold enough for a model when one of its datasets is left out.
FEWEST_DATASETS = 8
# What the library predicts from.
CHOSEN = ("logit knn", "log parameters", "log examples")
CANDIDATES: tuple[tuple[str, ...], ...] = (
    ("logit linear_probe",),
    ("logit linear_probe", "log parameters"),
    ("logit ridge_probe", "log parameters"),
    ("logit knn", "log parameters"),
    ("logit lda", "log parameters"),
    ("logme", "log parameters"),
    ("logit linear_probe", "logme", "log parameters"),
    ("logit ridge_probe", "logme", "log parameters"),
    ("logit linear_probe", "gbc", "log parameters"),
    ("logit linear_probe", "logit sfda", "log parameters"),
    ("logit linear_probe", "logit knn", "log parameters"),
    ("logit linear_probe", "logit ridge_probe", "log parameters"),
    CHOSEN,
    ("logit linear_probe", "log parameters", "log examples"),
    ("logit linear_probe", "log parameters", "log feature_dimension"),
    ("logit knn", "log parameters", "log feature_dimension", "log examples"),
    ("logit linear_probe", "logit ridge_probe", "logit lda", "logit knn", "logme", "log parameters"),
)


class Predicted(NamedTuple):
    """How predictions of datasets that the model had not seen came out.

    Attributes:
        covered: share of the 90% intervals that hold the accuracy.
        width: of the intervals, points.
        error: median distance of the prediction, points.
        weighted_tau, regret: of the order, as `frontrunner.evidence.quality` has them.
    """

    covered: float
    width: float
    error: float
    weighted_tau: float
    regret: float


def left_out(
    found: Sequence[Observation], columns: Sequence[str], known: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Accuracies by dataset and checkpoint, each dataset predicted by a model of the others, or of those in `known`."""
    orders = {}
    for dataset in sorted({each.dataset for each in found}):
        lines = _predictions(found, columns, dataset, known)
        usual = [pair for pair in lines if pair[0].measured["examples"] <= Protocol().examples]
        orders[dataset] = {each.checkpoint: line.accuracy for each, line in usual}
    return orders


def predicted(
    found: Sequence[Observation], columns: Sequence[str], truth: Truth, sets: Sequence[str], known: Sequence[str]
) -> Predicted:
    """Each of `sets` predicted by a model of the others among `known`."""
    lines = [pair for dataset in sets for pair in _predictions(found, columns, dataset, known)]
    chosen = [each for each in found if each.dataset in {*sets, *known}]
    orders = {name: order for name, order in left_out(chosen, columns, known).items() if name in sets}
    order = quality("predicted", orders, truth)
    return Predicted(
        float(np.mean([line.low <= each.accuracy <= line.high for each, line in lines])),
        100 * float(np.mean([line.high - line.low for _, line in lines])),
        100 * float(np.median([abs(line.accuracy - each.accuracy) for each, line in lines])),
        order.weighted_tau.mean,
        order.regret.mean,
    )


def _predictions(
    found: Sequence[Observation], columns: Sequence[str], dataset: str, known: Sequence[str] | None
) -> list[tuple[Observation, Prediction]]:
    others = [each for each in found if each.dataset != dataset and (known is None or each.dataset in known)]
    left = [each for each in found if each.dataset == dataset]
    return list(zip(left, fit_accuracy_model(others, columns).predict([each.measured for each in left]), strict=True))


def table(found: Sequence[Observation], truth: Truth, adaptation: Adaptation) -> str:
    """Markdown."""
    sets = sorted({each.dataset for each in found})
    half, other = sets[::2], sets[1::2]
    lines = [
        f"{adaptation} adaptation, {len(found)} pairs. Chosen on {', '.join(half)}; confirmed on {', '.join(other)}.",
        "",
        "| columns | tau_w, points lost: choosing | confirming | all | in 90% intervals | width | median error |",
        "|---|---|---|---|---|---|---|",
    ]
    for columns in CANDIDATES:
        choosing, confirming, all_sets = (
            predicted(found, columns, truth, part, known) for part, known in ((half, half), (other, half), (sets, sets))
        )
        orders = (f"{part.weighted_tau:.2f}, {part.regret:.1f}" for part in (choosing, confirming, all_sets))
        figures = (*orders, f"{all_sets.covered:.0%}", f"{all_sets.width:.1f}", f"{all_sets.error:.1f}")
        name = " + ".join(columns)
        lines.append(f"| {f'**{name}**' if columns == CHOSEN else name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def evidence(truth: Path = TRUTH, scores: Path = SCORES) -> dict[Adaptation, list[Observation]]:
    """What is known of every adaptation that was made to enough datasets."""
    tables = [read_tables(truth, scores, "image", examples) for examples in (Protocol().examples, MORE_EXAMPLES)]
    found = {name: [each for table in tables for each in observations(*table, name)] for name in ADAPTATIONS}
    return {name: each for name, each in found.items() if len({one.dataset for one in each}) >= FEWEST_DATASETS}


def fitted_models(found: dict[Adaptation, list[Observation]]) -> list[AccuracyModel]:
    """What the chosen columns say of every adaptation that has evidence."""
    return [fit_accuracy_model(each, CHOSEN, adaptation=adaptation) for adaptation, each in found.items()]


def main() -> None:
    """Reads the tables, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality.predictor", description=__doc__)
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    parser.add_argument("--ship", action="store_true", help="Replace the models that come with the library.")
    arguments = parser.parse_args()
    runs, _ = read_tables(arguments.truth, arguments.scores, "image")
    found = evidence(arguments.truth, arguments.scores)
    parts = [table(each, whole_datasets(runs, adaptation), adaptation) for adaptation, each in found.items()]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "predictor")
    if arguments.ship:
        path = Path(str(files("frontrunner.ranking"))) / "accuracy_models.json"
        path.write_bytes(TypeAdapter(list[AccuracyModel]).dump_json(fitted_models(found), indent=1) + b"\n")


if __name__ == "__main__":
    main()
