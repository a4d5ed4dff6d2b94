"""A visit: one request of a page, as its tenant may see it, and what the forms of its answer carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import SecurityScopes
from starlette.datastructures import FormData

from api.access_errors import FormForeign
from api.pages.sessions import CSRF_FIELD, new_visitor, visitor_of
from api.state import State, admit, own_address
from jobs.keys import Principal, Scope

# A form of ours has a few dozen fields; files come another way.
_MAX_FIELDS = 500


@dataclass(frozen=True)
class Visit:
    """One request of a page.

    Attributes:
        request: as it came.
        state: what its tenant may see; of nobody in particular on pages for those who are not signed in.
        visitor: names the browser, for the forms that it gets.
        is_known: whether the browser had that name before.
        form: what was sent; empty of a GET.
    """

    request: Request
    state: State
    visitor: str
    is_known: bool
    form: FormData

    @property
    def token(self) -> str:
        """What every form of the answer carries."""
        sessions = self.state.sessions
        return sessions.form_token(self.visitor, sessions.read(self.request))

    @property
    def is_signed_in(self) -> bool:
        """Whether this browser has shown a key, and can sign out."""
        return self.state.sessions.read(self.request) is not None

    def may(self, *scopes: Scope | str) -> bool:
        """Whether this is allowed: what is not is not offered."""
        return self.state.principal.scopes.issuperset(map(Scope, scopes))

    def said(self, name: str) -> str:
        """What was filled into a field; empty where it was not."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def said_all(self, name: str) -> list[str]:
        """Everything that was chosen of a field."""
        return [value for value in self.form.getlist(name) if isinstance(value, str) and value]


def visit_of(request: Request, state: State, form: FormData | None = None) -> Visit:
    """The visit of a request."""
    visitor = visitor_of(request)
    return Visit(request, state, visitor or new_visitor(), visitor is not None, form or FormData())


def require_own_form(request: Request, token: str) -> None:
    """Let a form pass that this browser got from us.

    Raises:
        FormForeign: it came from elsewhere, or from before the browser signed in or out.
    """
    state: State = request.app.state.frontrunner
    if not state.sessions.is_own_form(request, token):
        raise FormForeign("the form is not of this session: open the page again and send it once more")


async def own_form(request: Request) -> FormData:
    """The fields of a form without files, once it is clear that it is ours.

    Raises:
        FormForeign: it came from elsewhere.
    """
    form = await request.form(max_files=0, max_fields=_MAX_FIELDS)
    require_own_form(request, str(form.get(CSRF_FIELD, "")))
    return form


async def _admitted(request: Request, scopes: SecurityScopes) -> State:
    state: State = request.app.state.frontrunner

    async def who() -> Principal:
        session = state.sessions.read(request)
        if session is None:
            return await state.access.principal(None, own_address(request))
        return await state.access.signed_in(session.key_id)

    return await admit(request, who, *map(Scope, scopes.scopes))


async def _visit(request: Request, state: Annotated[State, Depends(_admitted)]) -> Visit:
    return visit_of(request, state)


async def _form_visit(request: Request, state: Annotated[State, Depends(_admitted)]) -> Visit:
    return visit_of(request, state, await own_form(request))


async def _open_visit(request: Request) -> Visit:
    return visit_of(request, request.app.state.frontrunner)


# For those who are not signed in.
OpenVisit = Annotated[Visit, Depends(_open_visit)]
ReadVisit = Annotated[Visit, Security(_visit, scopes=[Scope.READ])]
# Of an upload, whose form is read as it comes: call `require_own_form`.
UploadVisit = Annotated[Visit, Security(_visit, scopes=[Scope.WRITE])]
AdminVisit = Annotated[Visit, Security(_visit, scopes=[Scope.ADMIN])]
WriteVisit = Annotated[Visit, Security(_form_visit, scopes=[Scope.WRITE])]
TuneVisit = Annotated[Visit, Security(_form_visit, scopes=[Scope.WRITE, Scope.TUNE])]
AdministerVisit = Annotated[Visit, Security(_form_visit, scopes=[Scope.ADMIN])]
