"""Headers of every answer: what browsers may do with it, and how many requests are left."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Under this name the scope of a request holds its `Allowance`, once it is known who asks.
ALLOWANCE = "frontrunner.allowance"

# Answers are data: nothing in them is to be run, framed, sniffed for another type, or read by other sites' pages.
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    # A page or a proxy in between keeps nothing of what a key opened, unless the answer itself says how.
    "Cache-Control": "no-store",
}


class AnswerHeaders:
    """ASGI middleware: adds the headers that an answer does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                allowance = scope.get(ALLOWANCE)
                if allowance is not None:
                    headers.update(allowance.headers)
            await send(message)

        await self._app(scope, receive, with_headers)
