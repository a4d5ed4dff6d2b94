"""`frontrunner tasks`: datasets as tasks, and how far they are from each other."""

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
    TextOption,
    dataset_options,
    print_json,
)
from frontrunner.commands.engine import engine
from frontrunner.commands.service import KeyFileOption, ServerOption, WaitOption
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.terminal import Terminal

_KEPT = "What was read is kept: the same command goes on from there."

tasks = typer.Typer(no_args_is_help=True, help="Compare datasets as tasks.")


@tasks.command()
def distance(
    datasets: Annotated[list[Path], typer.Argument(help="Two or more datasets, each as for `rank`.")],
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="The checkpoint that sees them.")],
    hub: HubOption = None,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=2, help="Read at most this many training examples of each.")
    ] = DEFAULT_MAX_EXAMPLES,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the samples.")] = 0,
    beta: Annotated[float, typer.Option("--beta", min=1e-6, help="Weight of information against loss.")] = 0.05,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    wait: WaitOption = True,
    json: JsonOption = False,
) -> None:
    """Print how much of the column's task is to be learned once the row's is known; not symmetric."""
    if len(datasets) < 2:
        raise typer.BadParameter("a distance needs two datasets", param_hint="DATASETS")
    with engine(server, api_key_file, wait=wait, quiet=json, hub=hub, kept=_KEPT) as work:
        from frontrunner.display import show_task_distances
        from frontrunner.ranking import TaskDistanceRequest

        request = TaskDistanceRequest(checkpoint=checkpoint, beta=beta, max_examples=max_examples, seed=seed)
        options = dataset_options(None, label, input, text=text, image=image, split=split)
        found = work.compare(datasets, request, options)
        if json:
            print_json(found)
        else:
            show_task_distances(found, Terminal())
