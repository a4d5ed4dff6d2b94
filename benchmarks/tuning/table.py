"""Finished runs as a table: accuracy by method and dataset, its spread over seeds, and the gain over fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tuning.runs import Protocol, Run

BASELINE = "finetune"


def table(runs: Sequence[Run], protocol: Protocol) -> str:
    """Markdown. A field is the mean over seeds in percent, ± half the range; gains are paired by dataset and seed."""
    runs = [*runs, *(alone for run in runs for alone in _alone(run))]
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    methods = list(dict.fromkeys(run.method for run in runs))
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    caption = (
        f"{protocol.epochs} epochs, {protocol.images} images of the training split, {protocol.size} px, seeds {seeds}; "
        "test accuracy in %, mean ± half the range over seeds; the gain over fine-tuning the popular checkpoint is the "
        "mean of differences on the same data and seed."
    )
    header = "| method | " + " | ".join(datasets) + " | gain | time | weights |"
    lines = [caption, "", header, "|---" * (len(datasets) + 4) + "|"]
    baseline = {(run.dataset, run.seed): run for run in runs if run.method == BASELINE}
    for method in methods:
        own = [run for run in runs if run.method == method]
        columns = [accuracies([run for run in own if run.dataset == dataset]) for dataset in datasets]
        lines.append(f"| {method} | " + " | ".join([*columns, _gain(own, baseline), *_cost(own, baseline)]) + " |")
    failed = [f"{run.dataset} {run.method} seed {run.seed}: {run.error}" for run in runs if run.error]
    return "\n".join([*lines, *([""] if failed else []), *failed])


def _alone(run: Run) -> list[Run]:
    """The members of an ensemble as rows of their own; their time is the ensemble's and is not told apart."""
    return [
        Run(protocol=run.protocol, dataset=run.dataset, method=f"{name} alone", seed=run.seed, accuracy=accuracy)
        for name, accuracy in run.members.items()
    ]


def write_between_marks(path: Path, text: str, name: str = "results") -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->` in a document.

    Raises:
        ValueError: it has no such marks.
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = path.read_text().split(first)
    _, after = rest.split(last)
    path.write_text(f"{before}{first}\n{text}\n{last}{after}")


def accuracies(runs: Sequence[Run]) -> str:
    """Mean accuracy in percent ± half the range; a dash where none has finished."""
    found = [100 * run.accuracy for run in runs if run.accuracy is not None]
    if not found:
        return "-"
    return f"{sum(found) / len(found):.1f} ± {(max(found) - min(found)) / 2:.1f}"


def _gain(runs: Sequence[Run], baseline: dict[tuple[str, int], Run]) -> str:
    differences = [
        100 * (run.accuracy - other.accuracy)
        for run in runs
        if (other := baseline.get((run.dataset, run.seed))) is not None
        and run.accuracy is not None
        and other.accuracy is not None
    ]
    return f"{sum(differences) / len(differences):+.1f}" if differences else "-"


def _cost(runs: Sequence[Run], baseline: dict[tuple[str, int], Run]) -> tuple[str, str]:
    """Training time over that of the baseline, and trained weights in millions."""
    ratios = [
        run.seconds / other.seconds
        for run in runs
        if (other := baseline.get((run.dataset, run.seed))) is not None
        and not (run.error or run.seconds == 0 or other.seconds == 0)
    ]
    weights = [run.parameters / 1e6 for run in runs if run.parameters]
    return (
        f"{sorted(ratios)[len(ratios) // 2]:.1f}x" if ratios else "-",
        f"{max(weights):.1f} M" if weights else "-",
    )
