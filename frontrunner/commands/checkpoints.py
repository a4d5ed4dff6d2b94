"""`frontrunner checkpoints`: what the hubs hold, what lists know, and how the catalogue learns of them."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import (
    HubOption,
    JsonOption,
    LicenseOption,
    MaxParametersOption,
    constraints,
    print_json,
)
from frontrunner.commands.engine import engine
from frontrunner.commands.service import KeyFileOption, ServerOption, print_value, service
from frontrunner.terminal import Terminal

checkpoints = typer.Typer(help="List the checkpoints of the hubs, search the catalogue, fill it.")

NameOption = Annotated[
    str | None, typer.Option("--name", help="Only checkpoints in whose id or architecture this occurs.")
]
ModalityOption = Annotated[str | None, typer.Option("--modality", help="Only those that read image or text.")]


@checkpoints.callback(invoke_without_command=True)
def checkpoints_themselves(
    context: typer.Context,
    hub: HubOption = None,
    name: NameOption = None,
    modality: ModalityOption = None,
    max_parameters: MaxParametersOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    if context.invoked_subcommand is None:
        list_checkpoints(hub, name, modality, max_parameters, license, server, api_key_file, json)


@checkpoints.command("list")
def list_checkpoints(
    hub: HubOption = None,
    name: NameOption = None,
    modality: ModalityOption = None,
    max_parameters: MaxParametersOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    with engine(server, api_key_file, quiet=json, hub=hub) as work:
        from frontrunner.display import show_catalogue

        limits = constraints(max_parameters, None, None, license)
        found = work.checkpoints((name or "").lower(), modality, limits)
        if json:
            print_json(found)
        else:
            show_catalogue(found, Terminal())


@checkpoints.command()
def show(
    checkpoint: Annotated[str, typer.Argument(help="Its id.")],
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
) -> None:
    """Print what a service knows of a checkpoint, as JSON."""
    with service(server, api_key_file) as client:
        print_value(client.checkpoint(checkpoint))
