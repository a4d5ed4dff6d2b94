"""`frontrunner keys`: who may use the service."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import select

from frontrunner.commands.common import JsonOption, refusals
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal
from jobs.commands.catalogue import service_database
from jobs.keys import Scope, create_key, replace_key, revoke_key
from jobs.secret import service_secret
from models import DEFAULT_TENANT, KeyRow

keys = typer.Typer(no_args_is_help=True, help="Keys of the service: once there is one, every request needs one.")

_DAY_S = 86_400.0


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose datasets and jobs it reads and writes.")] = (
        DEFAULT_TENANT
    ),
    scope: Annotated[
        list[Scope] | None, typer.Option("--scope", help="May be given again; read and write by default.")
    ] = None,
    days: Annotated[float | None, typer.Option("--days", min=0.001, help="Good for so long; else for ever.")] = None,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    with refusals():
        database, secret = service_database(), service_secret(get_settings())
        with database.write_transaction() as session:
            _, key = create_key(
                session,
                secret,
                name=name,
                tenant=tenant,
                scopes=scope or (Scope.READ, Scope.WRITE),
                valid_s=None if days is None else days * _DAY_S,
            )
        database.close()
    typer.echo(key)


@keys.command("list")
def list_keys(json: JsonOption = False) -> None:
    """List every key that was made, without the keys themselves."""
    with refusals():
        database = service_database()
        with database.read_transaction() as session:
            lines = [_line(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.created_at))]
        database.close()
    if json:
        typer.echo(json_module.dumps({"keys": lines}, indent=2))
        return
    table = Table("key", "name", "tenant", "scopes", "last used", "state")
    for line in lines:
        table.add_row(*(str(line[name] or "-") for name in ("id", "name", "tenant", "scopes", "last_used_at", "state")))
    Terminal().print(table)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `list` shows it.")]) -> None:
    """Make a key good for nothing; services that have just seen it hear of it within seconds."""
    with refusals():
        database = service_database()
        with database.write_transaction() as session:
            revoke_key(session, key_id)
        database.close()


@keys.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="As `list` shows it.")],
    hours: Annotated[float, typer.Option("--hours", min=0, help="The old one is good for so long.")] = 24.0,
) -> None:
    """Make a key that may do the same, and print it; the old one ends soon."""
    with refusals():
        database, secret = service_database(), service_secret(get_settings())
        with database.write_transaction() as session:
            _, key = replace_key(session, secret, key_id, hours * 3600.0)
        database.close()
    typer.echo(key)


def _line(row: KeyRow) -> dict[str, Any]:
    import time
    from datetime import UTC, datetime

    def shown(seconds: float | None) -> str | None:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

    is_over = row.expires_at is not None and row.expires_at < time.time()
    return {
        "id": row.id,
        "name": row.name,
        "tenant": row.tenant,
        "scopes": row.scopes,
        "created_at": shown(row.created_at),
        "expires_at": shown(row.expires_at),
        "last_used_at": shown(row.last_used_at),
        "state": "revoked" if row.revoked_at is not None else "expired" if is_over else "good",
    }
