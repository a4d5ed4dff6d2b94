"""`frontrunner datasets`: what a dataset is read as, and the datasets of a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
)
from frontrunner.commands.engine import Given, engine
from frontrunner.commands.service import KeyFileOption, ServerOption, print_value, service
from frontrunner.progress import SILENT
from frontrunner.terminal import Terminal


class _CheckByDefault(TyperGroup):
    """`frontrunner datasets DATASET` checks it: what is no command is a dataset."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the command that they mean."""
        is_named = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if is_named else ["check", *args])


datasets = typer.Typer(
    cls=_CheckByDefault,
    no_args_is_help=True,
    help="Check a dataset, the same as `datasets check`; keep datasets on a service.",
)

DatasetArgument = Annotated[
    Path, typer.Argument(help="Folder or zip of images, table or npz file; see docs/datasets.md.")
]


@datasets.command()
def check(
    dataset: DatasetArgument,
    task: TaskOption = None,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> None:
    """Check DATASET: what was read as what, classes, counts, what was left out; whether it can be ranked on."""
    with engine(server, api_key_file, quiet=json) as work:
        from frontrunner.display import show_report

        options = dataset_options(task, label, input, text=text, image=image, split=split)
        report = work.check(Given(dataset, options))
        if json:
            print_json(report)
        else:
            show_report(report, Terminal())


@datasets.command()
def upload(
    dataset: DatasetArgument,
    task: TaskOption = None,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> None:
    """Send DATASET to a service and print its id, which `rank --server` takes too; the same data has the same id."""
    options = dataset_options(task, label, input, text=text, image=image, split=split)
    with service(server, api_key_file) as client:
        identifier = client.upload(dataset, options, progress=SILENT if json else None)
        if json:
            print_value(client.dataset(identifier))
        else:
            typer.echo(identifier)


@datasets.command("list")
def list_datasets(server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """List the datasets of a service."""
    with service(server, api_key_file) as client:
        found = client.datasets()
    if json:
        print_value(found)
        return
    from frontrunner.display import show_datasets

    show_datasets(found, Terminal())


@datasets.command()
def show(dataset: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Print a dataset of a service with its report, as JSON."""
    with service(server, api_key_file) as client:
        print_value(client.dataset(dataset))


@datasets.command()
def delete(dataset: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Forget a dataset of a service, its bytes and its features."""
    with service(server, api_key_file) as client:
        client.delete_dataset(dataset)
