"""`frontrunner admin`: maintenance of a service."""

from __future__ import annotations

import typer

from frontrunner.commands.common import refusals
from frontrunner.settings import get_settings

admin = typer.Typer(no_args_is_help=True, help="Maintenance of a service.")


@admin.callback()
def maintenance() -> None:
    """Maintenance of a service."""


@admin.command()
def migrate() -> None:
    """Bring the database's schema to the newest revision."""
    from migrations import upgrade
    from models import Database

    settings = get_settings()
    with refusals():
        settings.home.mkdir(parents=True, exist_ok=True)
        upgrade(Database(settings.resolved_database_url))
    typer.echo("the schema is current")
