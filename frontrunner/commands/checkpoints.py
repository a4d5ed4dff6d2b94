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
    refusals,
)
from frontrunner.settings import get_settings
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
    json: JsonOption = False,
) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    if context.invoked_subcommand is None:
        list_checkpoints(hub, name, modality, max_parameters, license, json)


@checkpoints.command("list")
def list_checkpoints(
    hub: HubOption = None,
    name: NameOption = None,
    modality: ModalityOption = None,
    max_parameters: MaxParametersOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    json: JsonOption = False,
) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    with refusals():
        from frontrunner.display import show_checkpoints
        from frontrunner.hub import find_catalogue

        catalogue = find_catalogue(hub, get_settings())
        limits = constraints(max_parameters, None, None, license)
        wanted = (name or "").lower()
        found = tuple(
            entry
            for entry in catalogue.checkpoints
            if wanted in f"{entry.id} {entry.architecture}".lower()
            and modality in (None, entry.modality)
            and limits.allows(entry)
        )
        skipped = tuple(entry for entry in catalogue.skipped if wanted in entry.checkpoint.lower())
        catalogue = catalogue.model_copy(update={"checkpoints": found, "skipped": skipped})
        if json:
            print_json(catalogue)
        else:
            show_checkpoints(catalogue.checkpoints, catalogue.skipped, Terminal())
