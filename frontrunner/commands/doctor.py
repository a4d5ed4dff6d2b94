"""`frontrunner doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from frontrunner.commands.common import JsonOption, print_json, refusals
from frontrunner.commands.service import KeyFileOption, ServerOption, read_key
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.diagnosis import Finding

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(server: ServerOption = None, api_key_file: KeyFileOption = None, json: JsonOption = False) -> None:
    """Look whether everything that work needs is there, and say what to do; the exit code is 1 where it is not.

    With --server of a running service, as far as its answers tell.
    """
    from frontrunner.diagnosis import Diagnosis, Verdict, diagnose

    found = []
    with refusals():
        for finding in _service(server, api_key_file) if server else diagnose(get_settings()):
            found.append(finding)
            if not json:
                _show(finding)
    diagnosis = Diagnosis.of(found)
    if json:
        print_json(diagnosis)
    if diagnosis.verdict == Verdict.ERROR:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    said = Text.assemble(
        (f"{finding.verdict:8}", _STYLES[finding.verdict]), (f"{finding.name}: ", "bold"), finding.found
    )
    if finding.advice:
        said.append(f"\n{'':8}{finding.advice}", "dim")
    Terminal().print(said, highlight=False, soft_wrap=True)


def _service(server: str, key_file: Path | None) -> Iterator[Finding]:
    """The checks of a running service."""
    import httpx

    from frontrunner import __version__
    from frontrunner.client import Client, ServiceProblem
    from frontrunner.diagnosis import bad, clock, doubtful, good, skew_of

    with Client(server, key=read_key(key_file)) as client:
        try:
            answer = client.reach()
        except httpx.TransportError as error:
            yield bad("service", f"none answers at {client.url}: {error}", "start it, or mend the address")
            return
        yield good("service", f"{client.url} answers")
        if (skew := skew_of(answer)) is not None:
            yield clock("clock", skew, "the service")
        theirs = client.version()
        if theirs == __version__:
            yield good("versions", f"{theirs}, here and there")
        else:
            yield doubtful("versions", f"{theirs}, and {__version__} here", "install the service's version here too")
        for part, state in client.ready().items():
            yield good(part, "ok") if state == "ok" else bad(part, state, "for whoever runs the service")
        try:
            yield good("key", f"good for the tenant '{client.quota()['tenant']}'")
        except ServiceProblem as error:
            yield bad("key", error.reason, "log in again: 'frontrunner login'")
