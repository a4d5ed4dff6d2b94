"""`frontrunner webhooks` and `quota`: addresses that hear when a job is over, and what one may use of a service."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import JsonOption
from frontrunner.commands.service import KeyFileOption, ServerOption, print_value, service
from frontrunner.terminal import Terminal

webhooks = typer.Typer(no_args_is_help=True, help="Addresses that hear from a running service when a job is over.")

WebhookArgument = Annotated[str, typer.Argument(help="Its id.")]


@webhooks.command("list")
def list_webhooks(server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """List webhooks."""
    with service(server, api_key_file) as client:
        found = client.webhooks()
    if json:
        print_value(found)
        return
    for entry in found:
        state = "enabled" if entry["enabled"] else "disabled"
        Terminal().print(f"{entry['id']}  {state}  {entry['url']}", soft_wrap=True, highlight=False)


@webhooks.command()
def create(url: str, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Let an address hear; printed with its secret, which is shown this once."""
    with service(server, api_key_file) as client:
        print_value(client.create_webhook(url))


@webhooks.command()
def show(webhook: WebhookArgument, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Print a webhook as JSON."""
    with service(server, api_key_file) as client:
        print_value(client.webhook(webhook))


@webhooks.command()
def enable(webhook: WebhookArgument, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Send to it again, what has waited first."""
    with service(server, api_key_file) as client:
        print_value(client.enable_webhook(webhook))


@webhooks.command()
def disable(webhook: WebhookArgument, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Let its messages wait."""
    with service(server, api_key_file) as client:
        print_value(client.disable_webhook(webhook))


@webhooks.command()
def delete(webhook: WebhookArgument, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Forget it, and what was sent to it."""
    with service(server, api_key_file) as client:
        client.delete_webhook(webhook)


@webhooks.command()
def deliveries(webhook: WebhookArgument, server: ServerOption = None, api_key_file: KeyFileOption = None) -> None:
    """Print the newest messages to it as JSON: how often each was tried, and what was answered."""
    with service(server, api_key_file) as client:
        print_value(client.deliveries(webhook))


@webhooks.command()
def redeliver(
    webhook: WebhookArgument, delivery: str, server: ServerOption = None, api_key_file: KeyFileOption = None
) -> None:
    """Send a message again."""
    with service(server, api_key_file) as client:
        print_value(client.redeliver(webhook, delivery))


def quota(server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """Show what the key's tenant may use of a service, and what it uses."""
    with service(server, api_key_file) as client:
        found = client.quota()
    if json:
        print_value(found)
        return
    from frontrunner.display import show_quota

    show_quota(found, Terminal())
