"""Refusals as pages: whoever asks with a browser gets the problem as a page, and who is not signed in the way there."""

from __future__ import annotations

import json
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access_errors import KeyInvalid, KeyMissing
from api.pages.rendering import go, page
from api.pages.visits import visit_of
from api.problems import MEDIA_TYPE
from api.state import OF_REQUEST

# Addresses of programs: their refusals stay problem documents, whoever asks.
_PROGRAMS = ("/v1/", "/livez", "/readyz", "/metrics", "/openapi.json", "/assets/")
_SIGN_IN_CODES = frozenset({KeyMissing.code, KeyInvalid.code})

# What to do about it, by code; `detail` says what is the matter.
_ADVICE = {
    "not_found": "The address may be mistyped, or what it named was deleted. Jobs lists what there is.",
    "form_foreign": "Nothing was changed.",
    "cross_site_request": "Nothing was changed. Open the page here and send the form again.",
    "scope_missing": "The key that you signed in with does not allow this. Sign in with another, or ask who made it.",
    "host_not_allowed": "Whoever runs the service lets a name in by FRONTRUNNER_ALLOWED_HOSTS.",
    "internal_error": "Nothing that you sent is at fault. The log of the service has the details.",
    "database_unavailable": "It usually comes back within a minute; the page can then be loaded again.",
    "keys_required": "Make a key with `frontrunner keys create`, or open the service on the machine it runs on.",
}


class ProblemPages:
    """ASGI middleware: turns problem documents into pages where a browser asks for one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _wants_page(scope):
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        body = bytearray()

        async def watched(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_problem(message):
                held = message
                return
            if held is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await _show(Request(scope), held, json.loads(body))(scope, receive, send)

        await self._app(scope, receive, watched)


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith(_PROGRAMS)


def _is_part(request: Request) -> bool:
    """Whether a page that is there already asks for a part of itself."""
    return "hx-request" in request.headers


def _is_problem(message: Message) -> bool:
    return any(name == b"content-type" and MEDIA_TYPE.encode() in value for name, value in message["headers"])


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # whatever a browser says may be none
        return "/"


def _show(request: Request, held: Message, problem: dict[str, object]) -> ASGIApp:
    if problem["code"] in _SIGN_IN_CODES:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        # A form that is sent again later has no page of its own to come back to.
        back = here if request.method == "GET" else _path_of(request.headers.get("referer", "/"))
        if _is_part(request):  # the whole page goes there, and not this part of it
            shown = _path_of(request.headers.get("hx-current-url", "/"))
            return Response(status_code=401, headers={"HX-Redirect": f"/sign-in?next={quote(shown, safe='/')}"})
        return go(f"/sign-in?next={quote(back, safe='/')}")
    if held["status"] == HTTPStatus.METHOD_NOT_ALLOWED and request.method == "GET":
        # The address of a form, which stays in the bar when it was refused: the page that holds it is one above.
        return go(request.url.path.rpartition("/")[0] or "/")
    state = request.scope.get(OF_REQUEST, request.app.state.frontrunner)
    answer = page(
        visit_of(request, state),
        "problem.html",
        status=int(held["status"]),
        problem=problem,
        advice=_ADVICE.get(str(problem["code"]), ""),
    )
    if retry_after := Headers(raw=held["headers"]).get("retry-after"):
        answer.headers["Retry-After"] = retry_after
    return answer
