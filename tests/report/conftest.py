"""A page of charts as the service serves it, under its content security policy, and a browser that looks at it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from frontrunner.report import assets
from frontrunner.report.templates import environment
from tests.browser import chromium

POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {assets.STYLE_HASH}; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
{% from "charts.html" import chart, data, titles %}
<html lang="en"><head><meta charset="utf-8"><title>Charts</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/assets/v/style.css"><script type="module" src="/assets/v/charts.js"></script></head>
<body><main class="page"><h1>Charts</h1>{{ titles("classification") }}{{ data("d", value) }}
{% if other %}{{ data("e", other) }}{% endif %}
{% for name in names %}
<section class="card">{{ chart(name, "d", title=name, items=items, with_id="e" if other else none) }}</section>
{% endfor %}<p id="below">What is below.</p></main></body></html>"""


@pytest.fixture(scope="module")  # a loop of events runs while it is open, and tests elsewhere start their own
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """A function that serves a page with charts of some data, and says where."""
    with _server() as (pages, port):

        def serve(names: list[str], value: Any, *, items: int | None = None, other: Any = None) -> str:
            template = environment().from_string(_PAGE)
            path = f"/{len(pages)}"
            pages[path] = template.render(names=names, value=value, items=items, other=other)
            return f"http://127.0.0.1:{port}{path}"

        yield serve


@contextmanager
def _server() -> Iterator[tuple[dict[str, str], int]]:
    pages: dict[str, str] = {}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                if self.path.startswith("/assets/v/"):
                    asset = assets.read(self.path.removeprefix("/assets/v/"))
                    content, kind = asset.content, asset.media_type
                else:
                    content, kind = pages[self.path].encode(), "text/html; charset=utf-8"
            except KeyError:
                self.send_error(204 if self.path == "/favicon.ico" else 404)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield pages, server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
