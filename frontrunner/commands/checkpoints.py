"""`frontrunner checkpoints`."""

from __future__ import annotations

from rich.console import Console

from frontrunner.commands.common import HubOption, JsonOption, print_json, refusals
from frontrunner.settings import get_settings


def checkpoints(hub: HubOption = None, json: JsonOption = False) -> None:
    """List the checkpoints of the hubs, and what cannot be used among them."""
    with refusals():
        from frontrunner.display import show_checkpoints
        from frontrunner.hub import find_checkpoints

        settings = get_settings()
        catalogue = find_checkpoints(hub or settings.hub, packages=hub is None and settings.packages)
        if json:
            print_json(catalogue)
        else:
            show_checkpoints(catalogue.checkpoints, catalogue.skipped, Console())
