"""The command line in this process, whose libraries are loaded already: a process of its own loads torch each time."""

from __future__ import annotations

from typing import NamedTuple

from typer.testing import CliRunner

from frontrunner.cli import build_app
from frontrunner.settings import get_settings


class Done(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments: object, **environment: str | None) -> Done:
    """Run a command; variables of the environment are set for it, or taken away where they are None."""
    given = [str(argument) for argument in arguments]
    get_settings.cache_clear()
    try:
        done = CliRunner().invoke(build_app(given), given, env=environment)
    finally:
        get_settings.cache_clear()
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)
