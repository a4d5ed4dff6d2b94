"""What the commands share: options, how a refusal ends them, and how JSON is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from frontrunner.errors import FrontrunnerError, InvalidDataset, NoCheckpoints, NothingRanked

if TYPE_CHECKING:
    from frontrunner.data import DatasetOptions

_EXIT = ((InvalidDataset, 3), (NoCheckpoints, 4), (NothingRanked, 4), (FrontrunnerError, 5))

HubOption = Annotated[
    list[Path] | None, typer.Option("--hub", help="Folder of checkpoints; may be given again.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Table column holding the label or target.")]
InputOption = Annotated[
    str | None,
    typer.Option("--input", help="Table column of the text or image path; A,B for pairs."),
]
TaskOption = Annotated[str | None, typer.Option("--task", help="classification, multi-label or regression.")]


def dataset_options(task: str | None, label: str | None, input_column: str | None) -> DatasetOptions:
    """How to read a dataset, from the command line's options."""
    from pydantic import ValidationError

    from frontrunner.data import DatasetOptions

    try:
        return DatasetOptions.model_validate({"task": task, "label": label, "input": input_column})
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from error


def print_json(model: Any) -> None:
    """Write a pydantic model to stdout as indented JSON."""
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


@contextmanager
def refusals() -> Iterator[None]:
    """Say what was wrong with the input in one line, and end with its exit code."""
    try:
        yield
    except FrontrunnerError as error:
        _refuse(error)


def _refuse(error: FrontrunnerError) -> NoReturn:
    Console(stderr=True).print(f"[bold red]{error.code}[/bold red]: ", end="")
    typer.echo(error.reason, err=True)
    raise typer.Exit(next(status for kind, status in _EXIT if isinstance(error, kind)))
