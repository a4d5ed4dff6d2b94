"""`frontrunner rankings` and `tunings`: results that lie on a service; and how any result is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frontrunner.commands.common import JsonOption, print_json
from frontrunner.commands.engine import following
from frontrunner.commands.service import KeyFileOption, ServerOption, WaitOption, service
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.ranking import Ranking, TaskDistanceMatrix
    from frontrunner.tuning import Tuning
    from frontrunner.tuning.result import TuningOutput

rankings = typer.Typer(no_args_is_help=True, help="Rankings of a running service; `jobs list` lists them.")
tunings = typer.Typer(no_args_is_help=True, help="Tunings of a running service, and the files that they made.")


@rankings.command("show")
def show_ranking(
    ranking: str, server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False
) -> None:
    """Print a ranking; what is known so far while it runs."""
    with service(server, api_key_file) as client:
        print_result(client.ranking(ranking), json)


@rankings.command()
def extend(
    ranking: str,
    checkpoint: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="May be given again; all new ones by default.")
    ] = None,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    wait: WaitOption = True,
    json: JsonOption = False,
) -> None:
    """Rank further checkpoints together with those of a finished ranking, at their price."""
    with following(server, api_key_file, wait=wait, quiet=json) as work:
        print_result(work.extended(ranking, checkpoint or ()), json)


@rankings.command()
def outlook(ranking: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Print what a service's past results expect of a finished ranking's checkpoints, as JSON."""
    with service(server, api_key_file) as client:
        print_json(client.outlook(ranking))


@tunings.command("show")
def show_tuning(
    tuning: str, server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False
) -> None:
    """Print a tuning, and the names of its files."""
    with service(server, api_key_file) as client:
        found = client.tuning(tuning)
        print_result(found if json or found.output is None else found.output, json or found.output is None)


@tunings.command()
def download(
    tuning: str,
    name: Annotated[str | None, typer.Argument(help="As the tuning lists it; all files by default.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder into which they go.")] = Path(),
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
) -> None:
    """Fetch files of a finished tuning: the model, its card, what it was measured by."""
    with service(server, api_key_file) as client:
        output = client.tuning(tuning).output
        names = [name] if name is not None else [file.name for file in output.files] if output is not None else []
        for each in names:
            typer.echo(client.download(tuning, each, out / each))


def print_result(result: Ranking | TuningOutput | Tuning | TaskDistanceMatrix, as_json: bool) -> None:
    """Print what came out of a job, as the command that is named after it does."""
    from frontrunner import display
    from frontrunner.ranking import Ranking, TaskDistanceMatrix
    from frontrunner.tuning.result import TuningOutput

    if as_json:
        print_json(result)
    elif isinstance(result, Ranking):
        display.show_ranking(result, Terminal())
    elif isinstance(result, TuningOutput):
        display.show_tuning(result, Terminal())
    elif isinstance(result, TaskDistanceMatrix):
        display.show_task_distances(result, Terminal())
