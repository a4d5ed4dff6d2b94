"""`/sign-in` and `/sign-out`: a key is shown once, and a cookie stands for it afterwards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.access_errors import KeyInvalid, KeyMissing
from api.pages.rendering import go, page
from api.pages.visits import OpenVisit, own_form, visit_of
from api.state import own_address
from jobs.keys import PREFIX, id_of

router = APIRouter(include_in_schema=False)

Next = Annotated[str, Query(max_length=2000)]


@router.get("/sign-in")
async def show_sign_in(visit: OpenVisit, next: Next = "/") -> Response:  # noqa: A002 - the address says it
    """Ask for a key, where the service has any."""
    return await _ask(visit, next)


@router.post("/sign-in")
async def sign_in(visit: OpenVisit) -> Response:
    """Begin a session for whoever shows a key that is good."""
    visit = visit_of(visit.request, visit.state, await own_form(visit.request))
    key, back = visit.said("key"), _local(visit.said("next"))
    if not key.startswith(f"{PREFIX}_"):
        return page(visit, "sign_in.html", status=422, back=back, error="An API key begins with frk_.")
    try:
        await visit.state.access.principal(key, own_address(visit.request))
    except KeyInvalid as refusal:
        return page(visit, "sign_in.html", status=401, back=back, error=refusal.reason)
    answer = go(back)
    visit.state.sessions.begin(visit.request, answer, id_of(key))
    return answer


@router.post("/sign-out")
async def sign_out(visit: OpenVisit) -> Response:
    """End the session of this browser; the key stays good."""
    await own_form(visit.request)
    answer = go("/sign-in")
    visit.state.sessions.end(visit.request, answer)
    return answer


async def _ask(visit: OpenVisit, back: str) -> Response:
    try:
        await visit.state.access.principal(None, own_address(visit.request))
    except KeyMissing:
        return page(visit, "sign_in.html", back=_local(back), error="")
    return go(_local(back))  # a service without keys asks nobody


def _local(path: str) -> str:
    """A path of ours: an address elsewhere is nowhere to be sent after signing in."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"
