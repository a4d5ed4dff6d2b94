"""A span for each request: it belongs to the trace that `traceparent` names, and is named in the answer."""

from __future__ import annotations

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontrunner.telemetry import Traces, trace_of

HEADER = "traceparent"
# Asked every few seconds by whoever watches.
_WATCHED = frozenset({"/livez", "/readyz", "/metrics"})


class TraceRequests:
    """ASGI middleware: one span a request, until its answer is complete.

    A header that is not W3C's begins a trace of its own, as one that is missing does. Spans are called by route and not
    by path, as in `/metrics`.
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in _WATCHED:
            await self._app(scope, receive, send)
            return
        method, given = scope["method"], Headers(scope=scope).get(HEADER, "")
        about = {"http.request.method": method, "url.path": scope["path"]}
        with self._traces.span(method, kind="server", parent=given, attributes=about) as span:

            async def traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "unknown")
                    span.rename(f"{method} {route}")
                    span.set({"http.route": route, "http.response.status_code": message["status"]})
                    if message["status"] >= 500:
                        span.fail(f"status {message['status']}")
                    if span.traceparent:
                        MutableHeaders(scope=message)[HEADER] = span.traceparent
                await send(message)

            with structlog.contextvars.bound_contextvars(**trace_of(span.traceparent)):
                await self._app(scope, receive, traced)
