"""Verification judged by runs that nothing was chosen by: python -m benchmarks.budget.judges [--measure]

What `benchmarks.budget.verification` picks by its first seed was decided with the ground truth's two in view. Where it
changes the pick, both picks are adapted with further seeds, at the learning rates of the ground truth: on all other
sets nothing is gained or lost, whoever judges. `--measure` makes the runs that the table `benchmarks/budget/judged.csv`
lacks; a command that was ended goes on from there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.budget import verification
from benchmarks.budget.verification import RUNS, VerifiedRun, of, picks, predicted
from benchmarks.ranking_quality.predictor import evidence
from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.tables import read_tables, whole_datasets
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.ranking_quality.truth import checkpoints_of_pack, datasets_of_pack, sentence
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.ground_truth import measure_missing
from frontrunner.evidence.runs import MeasuredRun, Protocol, RunKey
from frontrunner.evidence.tables import Table
from frontrunner.ranking.stages.verification import MOST

JUDGED = Path(__file__).with_name("judged.csv")
# Neither the ground truth's nor that of the verifications, whose sample and first weights a run would share.
SEEDS = (3, 4, 5, 6)


class Judges(Table[MeasuredRun]):
    """Further runs in a table of their own; the ground truth's, whose learning rates they take, are read beside it."""

    def __iter__(self) -> Iterator[MeasuredRun]:
        yield from Table(TRUTH, MeasuredRun)
        yield from super().__iter__()


class Picks(NamedTuple):
    """Of one dataset, without and with verification."""

    dataset: str
    without: str
    verified: str


def picks_of_all() -> list[Picks]:
    """Of every dataset of the ground truth whose verifications are in their table."""
    rows, _ = read_tables(TRUTH, SCORES, "image")
    found, runs = evidence()["full"], list(Table(RUNS, VerifiedRun))
    every = []
    for dataset in sorted(whole_datasets(rows, "full").accuracies):
        without, verified = picks(predicted(found, dataset), of(runs, dataset, verification.SEEDS[0]), MOST)
        if verified is not None:
            every.append(Picks(dataset, without, verified))
    return every


def wanted(every: list[Picks]) -> list[RunKey]:
    """The runs that decide, seed after seed."""
    return [
        RunKey("full", each.dataset, name, seed)
        for seed in SEEDS
        for each in every
        if each.without != each.verified
        for name in (each.without, each.verified)
    ]


def table_of(every: list[Picks], reached: Mapping[RunKey, float]) -> str:
    """Markdown: points gained by each seed that both picks were adapted with; sets that nobody judged yet are left out.

    Args:
        every: the picks.
        reached: accuracies by run.
    """
    lines = ["| dataset | without | verified | gained, by seed | mean |", "|---|---|---|---|---|"]
    gained = []
    for each in every:
        if each.without == each.verified:
            gained.append(0.0)
            continue
        runs = [[RunKey("full", each.dataset, name, seed) for name in each[1:]] for seed in SEEDS]
        found = {
            after.seed: 100 * (reached[after] - reached[before])
            for before, after in runs
            if before in reached and after in reached
        }
        if not found:
            continue
        gained.append(float(np.mean(list(found.values()))))
        said = ", ".join(f"{points:+.1f} ({seed})" for seed, points in found.items())
        shown = " | ".join(name.removeprefix("local:") for name in each[1:])
        lines.append(f"| {each.dataset} | {shown} | {said} | {gained[-1]:+.1f} |")
    error = np.std(gained, ddof=1) / np.sqrt(len(gained))
    same = sum(each.without == each.verified for each in every)
    lines += [
        "",
        (
            f"Gained over {len(gained)} of {len(every)} sets, on {same} of which both picks are one: "
            f"{np.mean(gained):.2f} ± {error:.2f} points."
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    """Reads the tables, measures if asked to, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.judges", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="Make the runs that are missing.")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    every, table = picks_of_all(), Judges(JUDGED, MeasuredRun)
    if arguments.measure:
        datasets, checkpoints = datasets_of_pack("image"), checkpoints_of_pack("image")
        folder = Path(tempfile.gettempdir()) / "frontrunner-ground-truth"
        for run in measure_missing(wanted(every), Protocol(), table, datasets, checkpoints, folder):
            print(sentence(run), flush=True)
    text = table_of(every, {run.key: run.accuracy for run in table if run.accuracy is not None})
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "judges")


if __name__ == "__main__":
    main()
