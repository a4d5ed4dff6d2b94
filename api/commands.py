"""`frontrunner serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from frontrunner.commands.common import refusals
from frontrunner.settings import get_settings


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
    api_only: Annotated[
        bool, typer.Option("--api-only", help="The API alone: workers and 'admin migrate' are started elsewhere.")
    ] = False,
) -> None:
    """Start the API and a supervised worker on this machine; no broker or database server needed."""
    from api.serve import serve as serve_with_worker
    from api.serve import serve_api

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_until_stopped = serve_api if api_only else serve_with_worker
    with refusals():
        serve_until_stopped(get_settings().model_copy(update=given))
