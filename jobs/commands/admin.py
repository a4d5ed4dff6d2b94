"""`frontrunner admin`: maintenance of a service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy.exc import OperationalError

from frontrunner.commands.common import refusals
from frontrunner.settings import get_settings
from jobs.audit import Actor, note_act
from jobs.commands.catalogue import service_database
from models import DEFAULT_TENANT
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
    from jobs.upgrading import bring_up_to_date
    from models import Database

    settings = get_settings()
    with refusals():
        settings.home.mkdir(parents=True, exist_ok=True)
        database = Database(settings.resolved_database_url)
        try:
            _wait_for(database, wait)
            bring_up_to_date(database, settings)
        except OperationalError as error:
            typer.echo(f"the database cannot be used: {reason_of(error)}", err=True)
            raise typer.Exit(5) from error
    typer.echo("the schema is current")


@admin.command()
def reseal() -> None:
    """Seal every secret in the database with the first of the encryption keys; the others can be taken away then."""
    from jobs.sealing import Seal
    from jobs.sealing import reseal as seal_again

    with refusals():
        database = service_database()
        with database.write_transaction() as session:
            count = seal_again(session, Seal.of(get_settings()))
            note_act(session, Actor.of_command_line(), DEFAULT_TENANT, "resealSecrets")
        database.close()
    typer.echo(f"{count:,} secrets are sealed with the first key")


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
