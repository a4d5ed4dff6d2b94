"""The command line. Each command imports what it needs when it runs, so that `--help` is instant.

Exit codes: 0 done; 2 the command line is wrong; 3 the dataset is refused; 4 no checkpoint could be ranked; 5 any
other refused input.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from frontrunner.errors import FrontrunnerError, InvalidDataset, NoCheckpoints, NothingRanked
from frontrunner.settings import get_settings

if TYPE_CHECKING:
    from frontrunner.data import DatasetOptions
    from frontrunner.ranking import Ranking, RankingRequest

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ranks pretrained checkpoints for your data before anyone fine-tunes.",
    pretty_exceptions_enable=False,
)
admin = typer.Typer(no_args_is_help=True, help="Maintenance of a service.")
app.add_typer(admin, name="admin")

_EXIT = ((InvalidDataset, 3), (NoCheckpoints, 4), (NothingRanked, 4), (FrontrunnerError, 5))

HubOption = Annotated[
    list[Path] | None, typer.Option("--hub", help="Folder of checkpoints; may be given again.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Table column holding the label or target.")]
InputOption = Annotated[str | None, typer.Option("--input", help="Table column holding the text or image path.")]
TaskOption = Annotated[str | None, typer.Option("--task", help="classification, multi-label or regression.")]


@app.command()
def rank(
    dataset: Annotated[Path, typer.Argument(help="Image folder, or a zip, CSV, Parquet or npz file.")],
    hub: HubOption = None,
    score: Annotated[
        list[str] | None, typer.Option("--score", help="Score to compute; may be given again; the first one ranks.")
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="Rank only this checkpoint; may be given again.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Show only the best K.")] = None,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=2, help="Read at most this many training examples.")
    ] = 5000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sample.")] = 0,
    task: TaskOption = None,
    label: LabelOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """Rank checkpoints for DATASET, best first. No server needed; features are cached for the next time."""
    with _refusals():
        from frontrunner.ranking import RankingRequest

        request = RankingRequest(
            checkpoints=tuple(checkpoint) if checkpoint else None,
            scores=tuple(score or ("logme",)),
            max_examples=max_examples,
            seed=seed,
        )
        _print_ranking(_rank(dataset, hub, request, _options(task, label, input), json), top, json)


@app.command()
def demo(
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=20, help="Read at most this many training examples.")
    ] = 500,
    json: JsonOption = False,
) -> None:
    """Rank three ImageNet checkpoints on scikit-learn's handwritten digits."""
    with _refusals():
        from frontrunner.data import DatasetOptions
        from frontrunner.demo import write_digits
        from frontrunner.ranking import RankingRequest

        digits = write_digits(get_settings().home / "demo" / "digits.zip")
        request = RankingRequest(max_examples=max_examples)
        _print_ranking(_rank(digits, None, request, DatasetOptions(), json), None, json)


@app.command()
def datasets(
    dataset: Annotated[Path, typer.Argument(help="Image folder, or a zip, CSV, Parquet or npz file.")],
    task: TaskOption = None,
    label: LabelOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """Check DATASET: classes, counts, sizes, unreadable and duplicate files; says whether it can be ranked on."""
    with _refusals():
        from frontrunner.data import check_dataset, open_dataset
        from frontrunner.display import show_report

        report = check_dataset(open_dataset(dataset, _options(task, label, input)))
        if json:
            _print_json(report)
        else:
            show_report(report, Console())


@app.command()
def checkpoints(hub: HubOption = None, json: JsonOption = False) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    with _refusals():
        from frontrunner.display import show_checkpoints
        from frontrunner.hub import find_checkpoints

        settings = get_settings()
        catalogue = find_checkpoints(hub or settings.hub, packages=hub is None and settings.packages)
        if json:
            _print_json(catalogue)
        else:
            show_checkpoints(catalogue.checkpoints, catalogue.skipped, Console())


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
) -> None:
    """Start the API and a supervised worker on this machine; no broker or database server needed."""
    from api.serve import serve as serve_until_stopped

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_until_stopped(get_settings().model_copy(update=given))


@app.command()
def worker(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Queue to serve; may be given again.")] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Start one worker: takes steps from the queues until SIGTERM."""
    from frontrunner.doorbell import QUEUES
    from workers.app import run_worker

    run_worker(get_settings(), tuple(queue) if queue else QUEUES, until_stdin_closes=until_stdin_closes)


@admin.command()
def migrate() -> None:
    """Bring the database's schema to the newest revision."""
    from migrations import upgrade
    from models import Database

    settings = get_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    upgrade(Database(settings.resolved_database_url))
    typer.echo("the schema is current")


def main() -> None:
    """Entry of the `frontrunner` command."""
    app()


def _rank(
    dataset: Path, hub: list[Path] | None, request: RankingRequest, options: DatasetOptions, quiet: bool
) -> Ranking:
    from frontrunner import ranking
    from frontrunner.display import progress_listener

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return ranking.rank(dataset, hub=hub, request=request, options=options)
    with progress_listener(console) as listener:
        return ranking.rank(dataset, hub=hub, request=request, options=options, listener=listener)


def _options(task: str | None, label: str | None, input_column: str | None) -> DatasetOptions:
    from pydantic import ValidationError

    from frontrunner.data import DatasetOptions

    try:
        return DatasetOptions.model_validate({"task": task, "label": label, "input": input_column})
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from error


def _print_ranking(ranking: Ranking, top: int | None, as_json: bool) -> None:
    from frontrunner.display import show_ranking

    if top is not None:
        ranking = ranking.model_copy(update={"ranking": ranking.ranking[:top]})
    if as_json:
        _print_json(ranking)
    else:
        show_ranking(ranking, Console())


def _print_json(model: Any) -> None:
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what was wrong with the input in one line, and end with its exit code."""
    try:
        yield
    except FrontrunnerError as error:
        _refuse(error)


def _refuse(error: FrontrunnerError) -> NoReturn:
    Console(stderr=True).print(f"[bold red]{error.code}[/bold red]: ", end="")
    typer.echo(error.reason, err=True)
    raise typer.Exit(next(status for kind, status in _EXIT if isinstance(error, kind)))


if __name__ == "__main__":
    main()
