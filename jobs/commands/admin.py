"""`frontrunner admin`: maintenance of a service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy.exc import OperationalError

from frontrunner.commands.common import refusals
from frontrunner.settings import get_settings
from models.database import reason_of

if TYPE_CHECKING:
    from models import Database

admin = typer.Typer(no_args_is_help=True, help="Maintenance of a service.")


@admin.callback()
def maintenance() -> None:
    """Maintenance of a service."""


@admin.command()
def migrate(
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds in which a database that does not answer is tried again.")
    ] = 60.0,
) -> None:
    """Bring the database's schema to the newest revision. Several at once wait for each other."""
    from migrations import upgrade
    from models import Database

    settings = get_settings()
    with refusals():
        settings.home.mkdir(parents=True, exist_ok=True)
        database = Database(settings.resolved_database_url)
        try:
            _wait_for(database, wait)
            upgrade(database)
        except OperationalError as error:
            typer.echo(f"the database cannot be used: {reason_of(error)}", err=True)
            raise typer.Exit(5) from error
    typer.echo("the schema is current")


def _wait_for(database: Database, seconds: float) -> None:
    """Return once the database answers; raise its last error where it does not in time."""
    until, said = time.monotonic() + seconds, False
    while True:
        try:
            database.now()
        except OperationalError as error:
            if time.monotonic() >= until:
                raise
            if not said:
                typer.echo(f"waiting up to {seconds:g} s for the database: {reason_of(error)}", err=True)
            said = True
            time.sleep(0.5)
        else:
            return
