"""What is refused before any endpoint hears of it: strangers' pages, names that are not ours, bodies without an end.

A web page that a user visits may send requests to this machine, and may give its own name our address (DNS
rebinding). A browser tells both: in `Host`, `Origin` and `Sec-Fetch-Site`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import is_address
from api.problems import internal_error, problem
from frontrunner.limits import PART_BYTES

# Requests with these methods change nothing.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Values of `Sec-Fetch-Site` of requests that no stranger's page has sent.
_OWN_SITE = frozenset({"same-origin", "none"})
# Files come here, counted against a limit of their own; every other body is a small JSON document.
_UPLOADS = frozenset({"/v1/datasets", "/v1/recommendations", "/datasets"})
# Here they come in parts, none larger than one may be.
_PARTS = "/v1/uploads/"
_PROBES = frozenset({"/livez", "/readyz"})
MAX_JSON_BYTES = 4 << 20
# A body whose next piece takes longer, or that comes slower than this once it had time to begin, is cut off.
MAX_PAUSE_S = 30.0
MIN_BYTES_PER_S = 512

_log = structlog.get_logger(__name__)


class Door:
    """ASGI middleware: answers what must go no further.

    Args:
        app: what the rest is for.
        hosts: names that `Host` may hold, beside localhost and addresses; `*` for any.
        origins: other sites whose pages may change something, as their browsers name them.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
            refusal = problem(400, "request_malformed", "The request cannot be read.", "its address holds a NUL")
        elif not (self._is_preflight(scope["method"], headers) or self._may_ask(scope["path"], headers)):
            refusal = problem(
                421,
                "host_not_allowed",
                "This service is not known by this name.",
                f"the request is for '{headers.get('host', '')}'; an administrator allows names by ALLOWED_HOSTS",
            )
        elif scope["method"] not in _SAFE and headers.get("origin") not in self._origins and not _is_from_here(headers):
            refusal = problem(
                403,
                "cross_site_request",
                "A page of another site has sent this.",
                f"it comes from '{headers.get('origin', 'another site')}'; browsers may change nothing from elsewhere",
            )
        else:
            limit = _limit(scope["path"])
            await self._app(scope, _Body(receive, limit).receive, send)
            return
        await refusal(scope, receive, send)

    def _is_preflight(self, method: str, headers: Headers) -> bool:
        """Whether a browser asks for a page that is let in if it may ask: without the key that will come with that."""
        return method == "OPTIONS" and headers.get("origin") in self._origins

    def _may_ask(self, path: str, headers: Headers) -> bool:
        """Whether no stranger's name was given our address: then a page of theirs could read our answers.

        A page knows no key, and cannot make an address its name; probes tell nothing.
        """
        host = _host_of(headers.get("host"))
        named = "*" in self._hosts or host in self._hosts or host == "localhost" or is_address(host)
        return named or "authorization" in headers or path in _PROBES


class AnswerDefects:
    """ASGI middleware: an error that nobody foresaw is logged under its request's name, and answered with 500.

    It lies inside of what names and counts requests, so that such an answer is named and counted as any other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            _log.info("client_gone", path=scope["path"])
        except Exception as error:
            if scope["type"] != "http" or has_begun:
                raise
            _log.exception("request_failed", path=scope["path"], exc_info=error)
            await internal_error()(scope, receive, send)


class _Body:
    """A request's body as it comes, counted and timed until its end."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._began = time.monotonic()
        self._bytes = 0
        self._ended = False

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 408 for a body that stands still or drips, 413 for one that is too long.
        """
        if self._ended:  # what follows is the client's leaving, which may take as long as the answer
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), MAX_PAUSE_S)
        except TimeoutError:
            raise _cut_off(408, f"nothing more of the body came for {MAX_PAUSE_S:g} s") from None
        self._bytes += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._limit is not None and self._bytes > self._limit:
            raise _cut_off(413, f"the body is longer than {self._limit:,} bytes")
        seconds = time.monotonic() - self._began
        if not self._ended and seconds > MAX_PAUSE_S and self._bytes < MIN_BYTES_PER_S * seconds:
            raise _cut_off(408, f"the body comes slower than {MIN_BYTES_PER_S} bytes a second")
        return message


def _limit(path: str) -> int | None:
    """How long a body at an address may be; None where another limit counts."""
    if path in _UPLOADS:
        return None
    return PART_BYTES if path.startswith(_PARTS) else MAX_JSON_BYTES


def _cut_off(status: int, detail: str) -> HTTPException:
    """The answer to a request whose rest nobody will read."""
    return HTTPException(status, detail, {"Connection": "close"})


def _host_of(given: str | None) -> str:
    """The name in `Host`, without its port, in small letters; empty where there is none."""
    try:
        return (urlsplit(f"//{given or ''}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_from_here(headers: Headers) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in _OWN_SITE
    return origin is None or urlsplit(origin).netloc == headers.get("host")
