"""`frontrunner login`, `logout` and `profiles`: services by a name, with their keys."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import JsonOption, refusals
from frontrunner.commands.service import KeyFileOption, print_value, read_key, service


def login(
    url: Annotated[str, typer.Argument(help="Where the service is, as https://frontrunner.example.")],
    profile: Annotated[str, typer.Option("--profile", help="What to call it.")] = "default",
    api_key_file: KeyFileOption = None,
    default: Annotated[bool, typer.Option("--default", help="Mean it where no server is named.")] = False,
) -> None:
    """Keep a service's address and key under a name, for --server NAME. The key is asked for, and not shown."""
    from frontrunner.client.profiles import Profile, Profiles, read_profiles, write_profiles

    if "://" not in url:
        raise typer.BadParameter(f"'{url}' is no address such as https://frontrunner.example", param_hint="URL")
    if "://" in profile or not profile.isprintable():
        raise typer.BadParameter(f"'{profile}' is no name", param_hint="--profile")
    with refusals():
        known = read_profiles()
        key = read_key(api_key_file)
        if key is None:
            key = typer.prompt("API key (empty for none)", default="", show_default=False, hide_input=True).strip()
        entry = Profile(url.rstrip("/"), key or None)
        with service(entry.url, key=entry.key) as client:
            quota = client.quota()  # a wrong key is refused before it is kept
        profiles = known.having(profile, entry)
        path = write_profiles(Profiles(profiles.known, profile) if default else profiles)
    typer.echo(f"{profile}: {entry.url}, tenant {quota['tenant']}; kept in {path}")


def logout(profile: Annotated[str, typer.Argument(help="Its name.")] = "default") -> None:
    """Forget a service and its key. The key stays good: `frontrunner keys revoke` ends it."""
    from frontrunner.client.profiles import read_profiles, write_profiles

    with refusals():
        write_profiles(read_profiles().without(profile))


def profiles(json: JsonOption = False) -> None:
    """List the services that are kept; keys are not shown."""
    from frontrunner.client.profiles import read_profiles

    with refusals():
        found = read_profiles()
    listed = [
        {"name": name, "url": entry.url, "has_key": entry.key is not None, "default": name == found.default}
        for name, entry in sorted(found.known.items())
    ]
    if json:
        print_value(listed)
        return
    for entry in listed:
        notes = ", ".join(word for word, said in (("key", entry["has_key"]), ("default", entry["default"])) if said)
        typer.echo(f"{entry['name']}  {entry['url']}" + (f"  ({notes})" if notes else ""))
