"""`frontrunner datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from frontrunner.commands.common import (
    InputOption,
    JsonOption,
    LabelOption,
    TaskOption,
    dataset_options,
    print_json,
    refusals,
)


def datasets(
    dataset: Annotated[Path, typer.Argument(help="Image folder, or a zip, CSV, Parquet or npz file.")],
    task: TaskOption = None,
    label: LabelOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """Check DATASET: classes, counts, sizes, unreadable and duplicate files; says whether it can be ranked on."""
    with refusals():
        from frontrunner.data import check_dataset, open_dataset
        from frontrunner.display import show_report

        report = check_dataset(open_dataset(dataset, dataset_options(task, label, input)))
        if json:
            print_json(report)
        else:
            show_report(report, Console())
