"""The command line: it finds its commands through the entry-point group `frontrunner.commands`.

Every room brings its own, and so may any installed package. An entry point is named as the command is called: `rank`,
or `checkpoints sync` for a command of a group. It stands for a function, or for a `typer.Typer` where it is a group.
Only the command that is asked for is imported, and it imports what it needs when it runs.

Exit codes: 0 done; 2 the command line is wrong; 3 the dataset is refused; 4 no checkpoint could be ranked; 5 any
other refused input.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from frontrunner.errors import ExtraMissing
from frontrunner.extras import missing_extra

GROUP = "frontrunner.commands"
_OURS = "frontrunner"


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application with the commands that `arguments` may mean: one where its name comes first, else all."""
    app = typer.Typer(
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Ranks pretrained checkpoints for your data before anyone fine-tunes.",
        pretty_exceptions_enable=False,
    )
    app.callback()(_frontrunner)  # keeps an application of one command from being that command
    found = _commands()
    asked = {name: point for name, point in found.items() if name.split()[0] in arguments[:1]} or found
    # Groups come before their members: "checkpoints" before "checkpoints sync".
    groups = {"": app}
    refused: dict[str, str] = {}
    for name, point in sorted(asked.items()):
        if name.split()[0] in refused:
            continue
        try:
            _add(groups, name, point.load())
        except Exception as error:
            if (missing := missing_extra(error)) is not None:
                refused.setdefault(name.split()[0], missing.reason)
                continue
            if _is_ours(point):
                raise
            typer.echo(f"the command '{name}' of {_package(point)} cannot be loaded: {error}", err=True)
    for name, reason in refused.items():
        _add(groups, name, _refusing(reason), {"allow_extra_args": True, "ignore_unknown_options": True})
    return app


def _frontrunner(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda asked: _say_version(asked), help="Print it.")
    ] = False,
) -> None:
    pass


def _say_version(asked: bool) -> None:
    if asked:
        from frontrunner import __version__

        typer.echo(f"frontrunner {__version__}")
        raise typer.Exit


def _add(
    groups: dict[str, typer.Typer],
    name: str,
    command: Callable[..., None] | typer.Typer,
    settings: dict[str, bool] | None = None,
) -> None:
    """Put a command, or a group of them, into the group that its name begins with."""
    parent, _, member = name.rpartition(" ")
    if parent not in groups:
        raise LookupError(f"there is no group '{parent}'")
    group = groups[parent]
    if member in _members(group):
        raise LookupError(f"'{name}' is there already")
    if isinstance(command, typer.Typer):
        own = copy.copy(command)  # members of other packages join this application's group, and not the module's
        own.registered_commands = list(command.registered_commands)
        own.registered_groups = list(command.registered_groups)
        groups[name] = own
        group.add_typer(own, name=member)
    else:
        group.command(member, context_settings=settings)(command)


def _refusing(reason: str) -> Callable[..., None]:
    """A command whose libraries are not installed: listed, and refused with what to do whatever its arguments."""

    def refuse(context: typer.Context) -> None:
        typer.echo(f"{ExtraMissing.code}: {reason}", err=True)
        raise typer.Exit(5)

    escaped = reason.replace("[", "\\[")  # help texts are rich's markup
    refuse.__doc__ = f"Not available: {escaped}."
    return refuse


def _members(group: typer.Typer) -> set[str]:
    """Names of the commands that a group has."""
    named = {info.name or (info.callback.__name__ if info.callback else "") for info in group.registered_commands}
    return named | {str(info.name) for info in group.registered_groups}


def main() -> None:
    """Entry of the `frontrunner` command."""
    try:
        build_app(sys.argv[1:])()
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is None:
            raise
        typer.echo(f"{missing.code}: {missing.reason}", err=True)
        sys.exit(5)


def _commands() -> dict[str, EntryPoint]:
    """Every command by its name; nobody else's replaces one of ours."""
    points = sorted(entry_points(group=GROUP), key=_is_ours)
    return {point.name: point for point in points}


def _is_ours(point: EntryPoint) -> bool:
    return _package(point) == _OURS


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


if __name__ == "__main__":
    main()
