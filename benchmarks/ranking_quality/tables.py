"""The tables of runs and scores, as the commands of this folder read them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from benchmarks.ranking_quality.truth import IMAGE_SETS, TEXT_SETS
from frontrunner.evidence.prediction import Observation
from frontrunner.evidence.quality import Truth, truth_of
from frontrunner.evidence.runs import MeasuredRun, MeasuredScore, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.ranking.prediction import Adaptation
from frontrunner.tuning import TuningRequest

_TRAINED_SHARE = 1 - float(TuningRequest.model_fields["validation_share"].default)
# Examples of the runs beside those of the usual protocol, of some checkpoints: they tell what more data are worth.
MORE_EXAMPLES = 960


def read_tables(
    truth: Path, scores: Path, modality: str, examples: int = Protocol().examples
) -> tuple[list[MeasuredRun], list[MeasuredScore]]:
    """The runs of the usual protocol on so many examples, and the scores of as many, on the sets of a modality."""
    protocol, sets = Protocol(examples=examples), IMAGE_SETS if modality == "image" else TEXT_SETS
    runs = [run for run in Table(truth, MeasuredRun) if run.protocol == protocol and run.dataset in sets]
    rows = [
        row
        for row in Table(scores, MeasuredScore)
        if (row.examples, row.sample) == (protocol.examples, 0) and row.dataset in sets
    ]
    return runs, rows


def whole_datasets(runs: list[MeasuredRun], adaptation: Adaptation) -> Truth:
    """The truth on the datasets that every checkpoint was adapted to; others would compare scores on other terms."""
    made: dict[str, set[str]] = {}
    for run in runs:
        if run.adaptation == adaptation:
            made.setdefault(run.dataset, set()).add(run.checkpoint)
    every = set[str]().union(*made.values())
    return truth_of([run for run in runs if made.get(run.dataset) == every], adaptation)


def observations(runs: list[MeasuredRun], rows: list[MeasuredScore], adaptation: Adaptation) -> list[Observation]:
    """One for each completed pair, accuracies being means over seeds."""
    values: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        values[row.dataset, row.checkpoint][row.score] = row.value
    examples: dict[str, int] = defaultdict(int)
    for run in runs:  # with the held-out part, which a ranking reads too
        read = min(run.examples, round((run.train_examples or 0) / _TRAINED_SHARE))
        examples[run.dataset] = max(examples[run.dataset], read)
    truth = whole_datasets(runs, adaptation)
    return [
        Observation(
            dataset=dataset,
            checkpoint=name,
            measured=values[dataset, name] | {"examples": examples[dataset]},
            accuracy=accuracy,
        )
        for dataset in truth.accuracies
        for name, accuracy in truth.mean(dataset).items()
        if (dataset, name) in values
    ]
