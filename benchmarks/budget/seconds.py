"""Whether a budget in seconds holds: python -m benchmarks.budget.seconds [--budgets 20s,40s] [--write docs/budgets.md]

Ranks the pack's checkpoints on its image sets for budgets in seconds, each time from nothing: an empty home, no speed
known. Beside the budget stand what the ranking says that it spent, and the wall clock of the whole ranking without the
check of the dataset. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.discrepancy.pack import pack
from benchmarks.ranking_quality.truth import datasets_of_pack
from benchmarks.tuning.table import write_between_marks
from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.progress import SILENT
from frontrunner.ranking import Budget, Ranking, RankingRequest, rank
from frontrunner.ranking.local import open_checked
from frontrunner.settings import Settings

# A budget holds that is met to this share.
_WITHIN = 0.1


def timed(dataset: Path, budget: str) -> tuple[Ranking, float]:
    """A ranking from nothing, and its seconds without the dataset's check."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), packages=False)
        open_checked(dataset, DatasetOptions(), settings, SILENT)
        folders = [folder for folder in sorted((pack() / "hub").iterdir()) if folder.is_dir()]
        began = time.monotonic()
        found = rank(dataset, hub=folders, request=RankingRequest(budget=budget), settings=settings)
        return found, time.monotonic() - began


def _path(reference: DatasetReference) -> Path:
    assert reference.path is not None
    return reference.path


def main() -> None:
    """Reads the arguments, ranks, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.seconds", description=__doc__)
    parser.add_argument("--datasets", default="cifar10,flowers5,trashnet")
    parser.add_argument("--budgets", default="20s,40s,80s")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    lines = [
        "| dataset | budget | charged | wall clock | over by | examples of the last round | verified |",
        "|---|---|---|---|---|---|---|",
    ]
    over = []
    datasets = datasets_of_pack("image")
    for name in arguments.datasets.split(","):
        for written in arguments.budgets.split(","):
            found, seconds = timed(_path(datasets[name]), written)
            limit = Budget.parse(written).amount
            assert found.budget is not None
            over.append(seconds / limit - 1)
            verified = sum(line.verified is not None for line in found.ranking)
            lines.append(
                f"| {name} | {written} | {found.budget.spent:.1f} s | {seconds:.1f} s | {over[-1]:+.0%} "
                f"| {found.ranking[0].examples} | {verified} |"
            )
            print(lines[-1], flush=True)
    within = sum(abs(each) <= _WITHIN for each in over)
    lines += ["", f"Within 10%: {within} of {len(over)}; over by {np.median(over):+.0%} in the median."]
    print("\n".join(lines))
    if arguments.write is not None:
        write_between_marks(arguments.write, "\n".join(lines), "seconds")


if __name__ == "__main__":
    main()
