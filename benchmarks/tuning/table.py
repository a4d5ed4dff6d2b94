"""Finished cells as a table: accuracy by method and dataset, its spread over seeds, and the gain over fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tuning.runs import Cell, Protocol

BASELINE = "finetune"
_MARKS = ("<!-- results -->", "<!-- end of results -->")


def table(cells: Sequence[Cell], protocol: Protocol) -> str:
    """Markdown. A cell is the mean over seeds in percent, ± half the range; gains are paired by dataset and seed."""
    cells = [*cells, *(alone for cell in cells for alone in _alone(cell))]
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    seeds = ", ".join(map(str, sorted({cell.seed for cell in cells})))
    caption = (
        f"{protocol.epochs} epochs, {protocol.images} images of the training split, {protocol.size} px, seeds {seeds}; "
        "test accuracy in %, mean ± half the range over seeds; the gain over fine-tuning the popular checkpoint is the "
        "mean of differences on the same data and seed."
    )
    header = "| method | " + " | ".join(datasets) + " | gain | time | weights |"
    lines = [caption, "", header, "|---" * (len(datasets) + 4) + "|"]
    baseline = {(cell.dataset, cell.seed): cell for cell in cells if cell.method == BASELINE}
    for method in methods:
        own = [cell for cell in cells if cell.method == method]
        columns = [_accuracies([cell for cell in own if cell.dataset == dataset]) for dataset in datasets]
        lines.append(f"| {method} | " + " | ".join([*columns, _gain(own, baseline), *_cost(own, baseline)]) + " |")
    failed = [f"{cell.dataset} {cell.method} seed {cell.seed}: {cell.error}" for cell in cells if cell.error]
    return "\n".join([*lines, *([""] if failed else []), *failed])


def _alone(cell: Cell) -> list[Cell]:
    """The members of an ensemble as rows of their own; their time is the ensemble's and is not told apart."""
    return [
        Cell(protocol=cell.protocol, dataset=cell.dataset, method=f"{name} alone", seed=cell.seed, accuracy=accuracy)
        for name, accuracy in cell.members.items()
    ]


def write_between_marks(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a document.

    Raises:
        ValueError: it has no marks.
    """
    before, rest = path.read_text().split(_MARKS[0])
    _, after = rest.split(_MARKS[1])
    path.write_text(f"{before}{_MARKS[0]}\n{text}\n{_MARKS[1]}{after}")


def _accuracies(cells: Sequence[Cell]) -> str:
    found = [100 * cell.accuracy for cell in cells if cell.accuracy is not None]
    if not found:
        return "-"
    return f"{sum(found) / len(found):.1f} ± {(max(found) - min(found)) / 2:.1f}"


def _gain(cells: Sequence[Cell], baseline: dict[tuple[str, int], Cell]) -> str:
    differences = [
        100 * (cell.accuracy - other.accuracy)
        for cell in cells
        if (other := baseline.get((cell.dataset, cell.seed))) is not None
        and cell.accuracy is not None
        and other.accuracy is not None
    ]
    return f"{sum(differences) / len(differences):+.1f}" if differences else "-"


def _cost(cells: Sequence[Cell], baseline: dict[tuple[str, int], Cell]) -> tuple[str, str]:
    """Training time over that of the baseline, and trained weights in millions."""
    ratios = [
        cell.seconds / other.seconds
        for cell in cells
        if (other := baseline.get((cell.dataset, cell.seed))) is not None
        and not (cell.error or cell.seconds == 0 or other.seconds == 0)
    ]
    weights = [cell.parameters / 1e6 for cell in cells if cell.parameters]
    return (
        f"{sorted(ratios)[len(ratios) // 2]:.1f}x" if ratios else "-",
        f"{max(weights):.1f} M" if weights else "-",
    )
