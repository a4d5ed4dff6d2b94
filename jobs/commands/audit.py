"""`frontrunner audit`: who did what, of all tenants."""

from __future__ import annotations

import json as json_module
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from frontrunner.commands.common import JsonOption, refusals
from frontrunner.terminal import Terminal
from jobs.audit import acts
from jobs.commands.catalogue import service_database

_COLUMNS = ("at", "tenant", "actor", "action", "resource", "outcome", "address", "request_id")


def audit(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="As in createDataset or revokeKey.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="As in key:ID.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 50,
    json: JsonOption = False,
) -> None:
    """List who did what, newest first."""
    with refusals():
        database = service_database()
        with database.read_transaction() as session:
            rows = acts(session, tenant=tenant, action=action, actor=actor, limit=limit)
            lines = [
                {name: getattr(row, name) for name in _COLUMNS}
                | {"at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")}
                for row in rows[:limit]
            ]
        database.close()
    if json:
        typer.echo(json_module.dumps({"acts": lines, "more": len(rows) > limit}, indent=2))
        return
    table = Table()
    for name in _COLUMNS:
        table.add_column(name.replace("_", " "), overflow="fold")
    for line in lines:
        table.add_row(*(str(line[name]) for name in _COLUMNS))
    Terminal().print(table)
    if len(rows) > limit:
        typer.echo(f"the first {limit}; narrow the search, or raise --limit")
