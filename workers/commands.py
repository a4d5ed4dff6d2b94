"""`frontrunner worker` and `frontrunner admin maintain`."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import refusals
from frontrunner.settings import get_settings


def worker(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Queue to serve; may be given again.")] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Start one worker: takes steps from the queues until SIGTERM."""
    from jobs.notification import QUEUES
    from workers.app import run_worker

    with refusals():
        run_worker(get_settings(), tuple(queue) if queue else QUEUES, until_stdin_closes=until_stdin_closes)


def maintain() -> None:
    """Remove what is old, too much or belongs to nobody, as workers do from time to time."""
    from dataclasses import asdict

    from jobs.commands.catalogue import service_database
    from workers.maintenance import Maintenance

    with refusals():
        removed = Maintenance(service_database(), get_settings(), "command line").run_once()
    for what, count in asdict(removed).items():
        typer.echo(f"{what.replace('_', ' ')}: {count:,}")
