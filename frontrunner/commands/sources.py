"""`frontrunner checkpoints source`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frontrunner.commands.common import (
    HubOption,
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
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.terminal import Terminal


def source(
    checkpoint: Annotated[str, typer.Argument(help="Id of the checkpoint.")],
    dataset: Annotated[Path, typer.Argument(help="The data that it was trained on, or a labelled sample of them.")],
    hub: HubOption = None,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=2, help="Read at most this many training examples.")
    ] = DEFAULT_MAX_EXAMPLES,
    task: TaskOption = None,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    json: JsonOption = False,
) -> None:
    """Keep statistics of CHECKPOINT on its source DATASET: the discrepancy is then measured from them."""
    with refusals():
        from frontrunner.bars import progress_bars
        from frontrunner.ranking import register_source

        options = dataset_options(task, label, input, text=text, image=image, split=split)
        with progress_bars(Terminal(stderr=True), quiet=json) as progress:
            kept = register_source(
                checkpoint, dataset, hub=hub, options=options, max_examples=max_examples, progress=progress
            )
        if json:
            print_json(kept)
        else:
            typer.echo(f"{checkpoint}: source statistics of {kept.dataset} are kept; its next ranking uses them")
