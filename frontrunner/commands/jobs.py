"""`frontrunner jobs`: what a running service is doing, and telling it to stop or to try again."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from frontrunner.commands.common import JsonOption
from frontrunner.commands.engine import following
from frontrunner.commands.results import print_result
from frontrunner.commands.service import KeyFileOption, ServerOption, print_value, service
from frontrunner.terminal import Terminal

jobs = typer.Typer(no_args_is_help=True, help="Jobs of a running service.")


@jobs.command("list")
def list_jobs(
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    status: Annotated[list[str] | None, typer.Option("--status", help="May be given again.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="ranking, tuning or task_distances.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 20,
    json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    narrowed_by = {"status": status, "kind": kind, "limit": limit}
    with service(server, api_key_file) as client:
        found = client.jobs(**{name: value for name, value in narrowed_by.items() if value})
    if json:
        print_value(found)
        return
    from frontrunner.display import show_jobs

    show_jobs(found, Terminal())


@jobs.command()
def show(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Print one job as JSON."""
    with service(server, api_key_file) as client:
        print_value(client.job(job))


@jobs.command()
def wait(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """Wait until a job is over, and print its result as the command that began it would have."""
    with following(server, api_key_file, quiet=json) as work:
        print_result(work.follow(job), json)


@jobs.command()
def watch(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """Print what happens to a job, as it happens, until it is over; with --json an object a line."""
    with service(server, api_key_file) as client:
        for event in client.events(job):
            if json:
                typer.echo(json_module.dumps({"number": event.number, "type": event.type, **event.data}))
                continue
            said = {name: value for name, value in event.data.items() if name != "at"}
            typer.echo(f"{event.data['at']}  {event.type}  {json_module.dumps(said)}")


@jobs.command()
def cancel(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Ask a job to stop."""
    with service(server, api_key_file) as client:
        print_value(client.cancel(job))


@jobs.command()
def retry(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Do again what failed, was lost or cancelled of a job."""
    with service(server, api_key_file) as client:
        print_value(client.retry(job))


@jobs.command()
def delete(job: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Forget a job that is over."""
    with service(server, api_key_file) as client:
        client.delete(job)
