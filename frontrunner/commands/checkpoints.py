"""`frontrunner checkpoints`: what the hubs hold, what lists know, and how the catalogue learns of them."""

from __future__ import annotations

import typer

from frontrunner.commands.common import HubOption, JsonOption, print_json, refusals
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal

checkpoints = typer.Typer(help="List the checkpoints of the hubs, search the catalogue, fill it.")


@checkpoints.callback(invoke_without_command=True)
def checkpoints_themselves(context: typer.Context, hub: HubOption = None, json: JsonOption = False) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    if context.invoked_subcommand is None:
        list_checkpoints(hub, json)


@checkpoints.command("list")
def list_checkpoints(hub: HubOption = None, json: JsonOption = False) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    with refusals():
        from frontrunner.display import show_checkpoints
        from frontrunner.hub import find_catalogue

        catalogue = find_catalogue(hub, get_settings())
        if json:
            print_json(catalogue)
        else:
            show_checkpoints(catalogue.checkpoints, catalogue.skipped, Terminal())
