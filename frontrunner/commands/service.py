"""`frontrunner serve`, `frontrunner worker` and `frontrunner admin`."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.settings import get_settings

admin = typer.Typer(no_args_is_help=True, help="Maintenance of a service.")


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
) -> None:
    """Start the API and a supervised worker on this machine; no broker or database server needed."""
    from api.serve import serve as serve_until_stopped

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_until_stopped(get_settings().model_copy(update=given))


def worker(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Queue to serve; may be given again.")] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Start one worker: takes steps from the queues until SIGTERM."""
    from jobs.notification import QUEUES
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


@admin.command()
def maintain() -> None:
    """Remove what is old, too much or belongs to nobody, as workers do from time to time."""
    from dataclasses import asdict

    from models import Database
    from workers.maintenance import Maintenance

    settings = get_settings()
    removed = Maintenance(Database(settings.resolved_database_url), settings, "command line").go_round()
    for what, count in asdict(removed).items():
        typer.echo(f"{what.replace('_', ' ')}: {count:,}")
