"""`frontrunner evaluate`: which score to trust on one's own hub and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frontrunner.commands.common import (
    AdaptationOption,
    HubOption,
    ImageOption,
    JsonOption,
    LabelOption,
    SplitOption,
    TextOption,
    adaptation_of,
    dataset_options,
    print_json,
    refusals,
)
from frontrunner.terminal import Terminal


def evaluate(
    datasets: Annotated[list[Path], typer.Argument(help="Labelled images or texts; see docs/datasets.md.")],
    hub: HubOption = None,
    adaptation: AdaptationOption = "full",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each checkpoint on each dataset.")] = 3,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=8, help="At most so many training examples of each dataset.")
    ] = 400,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=1000, help="Of each run.")] = 6,
    image_size: Annotated[
        int, typer.Option("--image-size", min=16, max=1024, help="Images: pixels a side in training.")
    ] = 128,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    split: SplitOption = None,
    json: JsonOption = False,
) -> None:
    """Adapt every checkpoint to DATASETS and see which score orders them best. Costs a training each; resumes."""
    with refusals():
        from frontrunner.bars import progress_bars
        from frontrunner.display import show_evaluation
        from frontrunner.evidence.own_hub import evaluate_hub
        from frontrunner.evidence.runs import Protocol

        protocol = Protocol(image_size=image_size, examples=max_examples, epochs=epochs)
        options = dataset_options(None, label, None, text=text, image=image, split=split)
        with progress_bars(Terminal(stderr=True), quiet=json) as progress:
            found = evaluate_hub(
                datasets,
                hub=hub,
                adaptation=adaptation_of(adaptation),
                protocol=protocol,
                seeds=seeds,
                options=options,
                progress=progress,
            )
        if json:
            print_json(found)
        else:
            show_evaluation(found, Terminal())
