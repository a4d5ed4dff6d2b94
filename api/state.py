"""What every request shares: settings, database, broker, store; and how an endpoint asks for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated

from celery import Celery
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from api.access import ANYBODY, Access, require
from api.datasets.checking import CheckPool
from api.headers import ALLOWANCE
from api.incoming import Incoming
from api.jobs.shown import Shown
from api.jobs.watcher import Watcher
from api.pages.sessions import Sessions
from api.rates import UNLIMITED, Allowance, RateLimited, Rates
from api.requests import correlation_id
from frontrunner.hub import Catalogue, HubAccess, with_named
from frontrunner.settings import Settings
from frontrunner.store import Blobs, Store, uploads
from frontrunner.telemetry import Traces
from jobs.audit import DONE, Actor, note_act
from jobs.catalogue import load_catalogue, refresh_catalogue
from jobs.keys import Principal, Scope
from jobs.sealing import Seal
from models import Database

# Under this name the scope of a request holds its state, once it is known who asks.
OF_REQUEST = "frontrunner.state"
# A checkpoint that is copied into a hub is offered after this long at most.
CATALOGUE_PERIOD_S = 5.0


class CatalogueWatch:
    """Brings the catalogue up to what the hubs hold that this machine sees, at most every few seconds."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._looked_at = float("-inf")
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Look, unless somebody just has."""
        with self._lock:
            if time.monotonic() - self._looked_at > CATALOGUE_PERIOD_S:
                refresh_catalogue(self._database, self._settings)
                self._looked_at = time.monotonic()


async def _anybody() -> Principal:
    return ANYBODY


@dataclass(frozen=True)
class State:
    """Opened once per process; each request gets it as its own tenant may see it.

    Attributes:
        who: finds out anew who asks.
        scopes: that the request needs.
    """

    settings: Settings
    database: Database
    broker: Celery
    store: Store
    checks: CheckPool
    watcher: Watcher
    shown: Shown
    registry: CollectorRegistry
    access: Access
    rates: Rates
    incoming: Incoming
    seal: Seal
    catalogue_watch: CatalogueWatch
    sessions: Sessions
    traces: Traces
    principal: Principal = ANYBODY
    allowance: Allowance = UNLIMITED
    operation: str = ""
    address: str = ""
    who: Callable[[], Awaitable[Principal]] = _anybody
    scopes: tuple[Scope, ...] = ()

    def of(self, principal: Principal, request: Request) -> State:
        """The same for who asks: the database shows that tenant's rows alone."""
        return replace(
            self,
            database=self.database.of_tenant(principal.tenant),
            principal=principal,
            operation=str(getattr(request.scope.get("route"), "operation_id", "")),
            address="" if request.client is None else request.client.host,
        )

    def note(self, session: Session, resource: str = "", outcome: str = DONE) -> None:
        """Write into the audit log what this request does, in the transaction that does it."""
        actor = Actor(self.principal.name, self.address, correlation_id())
        note_act(session, actor, self.principal.tenant, self.operation, resource, outcome)

    def require(self, *scopes: Scope) -> None:
        """Let pass who has these scopes.

        Raises:
            ScopeMissing: one is missing.
        """
        require(self.principal, *scopes)

    async def still(self) -> None:
        """Let a request go on that lasts: whoever asks is known, and may do it, as when it began.

        Raises:
            KeyInvalid, ScopeMissing: no more.
        """
        require(await self.who(), *self.scopes)

    @property
    def uploads(self) -> Blobs:
        """Datasets as they were uploaded."""
        return uploads(self.store)

    def catalogue(self, *names: str) -> Catalogue:
        """The checkpoints on offer, and those in `names` of hubs that are not at hand."""
        self.refresh_catalogue()
        with self.database.read_transaction() as session:
            found = load_catalogue(session)
        return with_named(found, names, HubAccess.of(self.settings))

    def refresh_catalogue(self) -> None:
        """Bring the catalogue up to what the hubs hold that this machine sees, at most every few seconds."""
        self.catalogue_watch.refresh()


_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key, or a token of the service's issuer; its scopes are read, write, tune and admin.",
)


# Dependencies that wait for nothing are `async`: FastAPI hands the others to a thread, one after the other.
async def _public_state(request: Request) -> State:
    state: State = request.app.state.frontrunner
    return state


async def _state(
    request: Request,
    scopes: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> State:
    """Of a request of the API: it carries its key."""
    state: State = request.app.state.frontrunner
    key = None if credentials is None else credentials.credentials
    return await admit(request, lambda: state.access.principal(key, own_address(request)), *map(Scope, scopes.scopes))


def own_address(request: Request) -> str:
    """The address of ours that a request came to."""
    return str((request.scope.get("server") or ("", None))[0])


async def admit(request: Request, who: Callable[[], Awaitable[Principal]], *scopes: Scope) -> State:
    """The one way to rows: who asks is known, allowed to, and sees their own.

    Args:
        request: that asks.
        who: finds out who does, now and whenever it is asked again.
        scopes: that it needs.

    Raises:
        KeyMissing, KeyInvalid, KeysRequired, KeysUnavailable: as of `who`.
        RateLimited: the tenant has sent as many requests as it may.
        ScopeMissing: this is not allowed.
    """
    principal = await who()
    state: State = request.app.state.frontrunner.of(principal, request)
    request.scope[OF_REQUEST] = state
    try:
        allowance = await state.rates.take(principal.tenant, (await state.access.limits(principal)).requests)
    except RateLimited as refusal:
        request.scope[ALLOWANCE] = refusal.allowance
        raise
    request.scope[ALLOWANCE] = allowance
    require(principal, *scopes)
    return replace(state, allowance=allowance, who=who, scopes=scopes)


# What probes may see without a key.
PublicStateDependency = Annotated[State, Depends(_public_state)]
StateDependency = Annotated[State, Security(_state, scopes=[Scope.READ])]
WriteStateDependency = Annotated[State, Security(_state, scopes=[Scope.WRITE])]
TuneStateDependency = Annotated[State, Security(_state, scopes=[Scope.WRITE, Scope.TUNE])]
AdminStateDependency = Annotated[State, Security(_state, scopes=[Scope.ADMIN])]
