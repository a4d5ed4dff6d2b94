"""What commands share that talk to a running service: which one, with which key, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontrunner.commands.common import refusals

if TYPE_CHECKING:
    from frontrunner.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="FRONTRUNNER_SERVER",
        help="A running service: its address, or a profile of `frontrunner login`.",
        show_default=False,
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file", help="File with the API key, - for stdin; else FRONTRUNNER_API_KEY, or the profile's."
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--detach", help="Of a service: wait for the result, or print the job and go.")
]


@contextmanager
def service(server: str | None, key_file: Path | None = None, *, key: str | None = None) -> Iterator[Client]:
    """A client of the service; what it refuses, or that it is away, ends the command in one line."""
    import httpx

    from frontrunner.client import Client

    with refusals(), Client(server, key=key or read_key(key_file)) as client:
        try:
            client.reach()  # no service at all is told at once, and not after a minute
            yield client
        except httpx.TransportError as error:
            typer.echo(f"no service answers at {client.url}: {error}", err=True)
            raise typer.Exit(1) from error


def read_key(file: Path | None) -> str | None:
    """The key in a file, or on stdin where it is `-`; never on the command line, which other users of a machine see."""
    if file is None:
        return None
    try:
        key = (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} holds no key", param_hint="--api-key-file") from error
    if not key or not key.isascii() or not key.isprintable():
        raise typer.BadParameter(f"{file} holds no key", param_hint="--api-key-file")
    return key


def print_value(value: Any) -> None:
    """Write what the service answered to stdout, as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
