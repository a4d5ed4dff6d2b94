"""`frontrunner datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frontrunner.commands.common import (
    ImageOption,
    InputOption,
    JsonOption,
    LabelOption,
    SplitOption,
    TaskOption,
    TextOption,
    dataset_options,
    print_json,
    refusals,
)
from frontrunner.terminal import Terminal


def datasets(
    dataset: Annotated[Path, typer.Argument(help="Folder or zip of images, table or npz file; see docs/datasets.md.")],
    task: TaskOption = None,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    json: JsonOption = False,
) -> None:
    """Check DATASET: what was read as what, classes, counts, what was left out; whether it can be ranked on."""
    with refusals():
        from frontrunner.data import check_dataset, open_dataset
        from frontrunner.display import show_report

        options = dataset_options(task, label, input, text=text, image=image, split=split)
        report = check_dataset(open_dataset(dataset, options))
        if json:
            print_json(report)
        else:
            show_report(report, Terminal())
