"""`frontrunner keys`: who may use the service."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import select

from frontrunner.commands.common import JsonOption, refusals
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal
from jobs.audit import Actor, note_act
from jobs.commands.catalogue import service_database
from jobs.keys import Scope, create_key, replace_key, require_tenant_name, revoke_key
from jobs.quotas import Limits, limits_of, set_limits, use_of
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
            row, key = create_key(
                session,
                secret,
                name=name,
                tenant=tenant,
                scopes=scope or (Scope.READ, Scope.WRITE),
                valid_s=None if days is None else days * _DAY_S,
            )
            note_act(session, Actor.of_command_line(), tenant, "createKey", row.id)
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
            row = revoke_key(session, key_id)
            note_act(session, Actor.of_command_line(), row.tenant, "revokeKey", key_id)
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
            row, key = replace_key(session, secret, key_id, hours * 3600.0)
            note_act(session, Actor.of_command_line(), row.tenant, "rotateKey", key_id)
        database.close()
    typer.echo(key)


@keys.command()
def quota(
    tenant: Annotated[str, typer.Argument(help="As keys name it.")] = DEFAULT_TENANT,
    size: Annotated[int | None, typer.Option("--bytes", min=0, help="Of its datasets together.")] = None,
    datasets: Annotated[int | None, typer.Option("--datasets", min=0)] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=0, help="That are not over.")] = None,
    compute_s: Annotated[
        float | None, typer.Option("--compute-seconds", min=0, help="That its steps take in any hour.")
    ] = None,
    requests: Annotated[int | None, typer.Option("--requests", min=0, help="A minute.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what was said; the settings count again.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what a tenant may use, 0 for no limit; and show it, with what it uses."""
    said = {"bytes": size, "datasets": datasets, "jobs": jobs, "compute_s": compute_s, "requests": requests}
    changed = dict.fromkeys(said) if reset else {}
    changed |= {name: value for name, value in said.items() if value is not None}
    with refusals():
        require_tenant_name(tenant)
        database = service_database()
        if changed:
            with database.write_transaction() as session:
                set_limits(session, tenant, changed)
                note_act(session, Actor.of_command_line(), tenant, "setQuota", tenant)
        with database.read_transaction() as session:
            limits = asdict(limits_of(session, tenant, Limits.of(get_settings())))
            used = asdict(use_of(session, tenant))
        database.close()
    if json:
        typer.echo(json_module.dumps({"tenant": tenant, "limits": limits, "used": used}, indent=2))
        return
    table = Table(tenant, "limit", "used")
    for name, limit in limits.items():
        table.add_row(name, f"{limit:,}" if limit else "none", f"{used[name]:,.0f}" if name in used else "-")
    Terminal().print(table)


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
