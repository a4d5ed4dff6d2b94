"""`frontrunner jobs`: what a running service is doing, and telling it to stop or to try again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontrunner.commands.common import refusals
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.client import Client

jobs = typer.Typer(no_args_is_help=True, help="Jobs of a running service.")

UrlOption = Annotated[str, typer.Option("--url", envvar="FRONTRUNNER_URL", help="Where the service is.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
_HERE = "http://127.0.0.1:8000"


@jobs.command("list")
def list_jobs(
    url: UrlOption = _HERE,
    status: Annotated[list[str] | None, typer.Option("--status", help="May be given again.")] = None,
    kind: Annotated[str | None, typer.Option("--kind")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    narrowed_by = {"status": status, "kind": kind, "limit": limit}
    with _service(url) as service:
        found = service.jobs(**{name: value for name, value in narrowed_by.items() if value})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from frontrunner.display import show_jobs

    show_jobs(found, Terminal())


@jobs.command()
def show(job: str, url: UrlOption = _HERE) -> None:
    """Print one job as JSON."""
    with _service(url) as service:
        _print(service.job(job))


@jobs.command()
def watch(job: str, url: UrlOption = _HERE) -> None:
    """Print what happens to a job, as it happens, until it is over."""
    with _service(url) as service:
        for event in service.events(job):
            said = {name: value for name, value in event.data.items() if name != "at"}
            typer.echo(f"{event.data['at']}  {event.type}  {json.dumps(said)}")


@jobs.command()
def cancel(job: str, url: UrlOption = _HERE) -> None:
    """Ask a job to stop."""
    with _service(url) as service:
        _print(service.cancel(job))


@jobs.command()
def retry(job: str, url: UrlOption = _HERE) -> None:
    """Do again what failed, was lost or cancelled of a job."""
    with _service(url) as service:
        _print(service.retry(job))


@jobs.command()
def delete(job: str, url: UrlOption = _HERE) -> None:
    """Forget a job that is over."""
    with _service(url) as service:
        service.delete(job)


@contextmanager
def _service(url: str) -> Iterator[Client]:
    import httpx

    from frontrunner.client import Client

    with refusals(), Client(url) as client:
        try:
            yield client
        except httpx.TransportError as error:
            typer.echo(f"no service answers at {url}: {error}", err=True)
            raise typer.Exit(1) from error


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
