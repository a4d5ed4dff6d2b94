"""`frontrunner history import` and `list`: past results in the service's database."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import JsonOption, refusals
from frontrunner.commands.history import FileArgument
from frontrunner.terminal import Terminal
from jobs.commands.catalogue import service_database

TenantOption = Annotated[str, typer.Option("--tenant", help="Whose results they are, as keys name it.")]


def import_file(file: FileArgument, tenant: TenantOption = "default") -> None:
    """Add the results in a CSV file to what the service knows; what it knows already is not added again."""
    with refusals():
        from frontrunner.evidence import read_history
        from jobs.audit import Actor, note_act
        from jobs.history import import_results
        from jobs.keys import require_tenant_name

        require_tenant_name(tenant)
        read = read_history(file)
        database = service_database()
        with database.write_transaction() as session:
            added = import_results(session, read.rows, tenant)
            note_act(session, Actor.of_command_line(), tenant, "importHistory", file.name)
        database.close()
        left_out = read.diverged + read.without_result
        typer.echo(
            f"{added:,} results added, {len(read.rows) - added:,} were there already"
            + (f", {left_out:,} left out as diverged or empty" if left_out else "")
        )


def list_results(
    model: Annotated[str | None, typer.Option("--model", help="Only of this checkpoint.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only on this dataset.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    json: JsonOption = False,
) -> None:
    """List past results, newest first."""
    from jobs.history import find_results

    with refusals():
        database = service_database()
        with database.read_transaction() as session:
            rows = find_results(session, model=model, dataset=dataset, tenant=tenant, limit=limit)
            lines = [
                {
                    "model": row.model,
                    "dataset": row.dataset,
                    "accuracy": row.accuracy,
                    "diverged": row.diverged,
                    "protocol": row.protocol,
                    "source": row.source,
                }
                for row in rows[:limit]
            ]
        database.close()
    if json:
        import json as json_module

        typer.echo(json_module.dumps({"results": lines, "more": len(rows) > limit}, indent=2))
        return
    from rich.table import Table

    table = Table()
    for title in ("checkpoint", "dataset", "accuracy", "protocol", "from"):
        table.add_column(title, overflow="fold")
    for line in lines:
        shown = f"{line['accuracy']:.4f}" + (" diverged" if line["diverged"] else "")
        table.add_row(str(line["model"]), str(line["dataset"]), shown, str(line["protocol"]), str(line["source"]))
    Terminal().print(table)
    if len(rows) > limit:
        typer.echo(f"the first {limit}; narrow the search, or raise --limit")
