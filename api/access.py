"""Who asks: the key or token of a request, checked once in a few seconds, and what its tenant may use.

A service without keys is this machine's own: it answers connections to a loopback address only, as the default tenant.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.access_errors import KeyInvalid, KeyMissing, KeysRequired, ScopeMissing
from api.addresses import is_loopback
from api.oidc import TokenIssuer
from api.remembered import Remembered
from frontrunner.settings import Settings
from jobs.keys import PREFIX, USED_EVERY_S, Principal, Scope, has_keys, id_of, note_use, principal_of, principal_of_id
from jobs.quotas import Limits, limits_of
from jobs.secret import service_secret
from models import Database
from models.tenant import DEFAULT_TENANT

# What was found good is not looked up again for so long: a revoked key is good for this much longer.
KNOWN_FOR_S = 3.0
_MAX_NOTED = 10_000

ANYBODY = Principal(DEFAULT_TENANT, frozenset(Scope))

_log = structlog.get_logger(__name__)


def require(principal: Principal, *scopes: Scope) -> None:
    """Let pass who has these scopes.

    Raises:
        ScopeMissing: one is missing.
    """
    if missing := [scope for scope in scopes if scope not in principal.scopes]:
        raise ScopeMissing(f"'{principal.name}' has not the scope {', '.join(map(repr, map(str, missing)))}")


class Access:
    """Finds out who asks. Lives in one event loop.

    Args:
        database: where keys are.
        settings: the secret that digests of keys are made with, the issuer of tokens, and everybody's limits.

    Raises:
        OIDCMisconfigured: an issuer is named that cannot be trusted.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._secret = service_secret(settings)
        self._issuer = TokenIssuer(settings) if settings.oidc_issuer else None
        self._defaults = Limits.of(settings)
        self._principals: Remembered[Principal] = Remembered()
        self._limits: Remembered[Limits] = Remembered()
        self._keys: Remembered[bool] = Remembered()
        self._noted: dict[str, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def principal(self, key: str | None, address: str) -> Principal:
        """Who sends `key`, or a token, to our own `address`.

        Raises:
            KeyMissing, KeyInvalid: there are keys, and this is none.
            KeysRequired: there are none, and the address is open to others.
            KeysUnavailable: it is a token, and its issuer is away.
        """
        if key is None:
            if self._issuer is not None or await self._keys.get("any", self._has_keys, KNOWN_FOR_S):
                raise KeyMissing("this service has keys: send one as 'Authorization: Bearer KEY'")
            if not is_loopback(address):
                raise KeysRequired(
                    "without keys only this machine is answered: make one with 'frontrunner keys create'"
                )
            return ANYBODY
        name = hashlib.sha256(key.encode()).digest()
        found = await self._principals.get(name, lambda: self._find(key), KNOWN_FOR_S)
        if key.startswith(f"{PREFIX}_"):
            self._note_use(id_of(key))
        return found

    async def signed_in(self, key_id: str) -> Principal:
        """Who sits at a browser that has shown the key with this id.

        Raises:
            KeyInvalid: the key is good no more, and the session with it.
        """
        found = await self._principals.get(key_id, lambda: self._find_id(key_id), KNOWN_FOR_S)
        self._note_use(key_id)
        return found

    async def limits(self, principal: Principal) -> Limits:
        """What its tenant may use."""
        tenant = principal.tenant
        return await self._limits.get(tenant, lambda: self._read(limits_of, tenant, self._defaults), KNOWN_FOR_S)

    def _find(self, key: str) -> Principal:
        if self._issuer is not None and not key.startswith(f"{PREFIX}_"):
            return self._issuer.principal(key)
        found: Principal | None = self._read(principal_of, self._secret, key)
        if found is None:
            raise KeyInvalid("the key is unknown, revoked or expired; make another with 'frontrunner keys create'")
        return found

    def _find_id(self, key_id: str) -> Principal:
        found: Principal | None = self._read(principal_of_id, key_id)
        if found is None:
            raise KeyInvalid("the key that you signed in with is revoked or expired; sign in with another")
        return found

    def _has_keys(self) -> bool:
        return bool(self._read(has_keys))

    def _note_use(self, key_id: str) -> None:
        """Remember that a key is used, behind the request's back: it waits for no write."""
        now = time.monotonic()
        if now - self._noted.get(key_id, float("-inf")) <= USED_EVERY_S:
            return
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()
        self._noted[key_id] = now
        task = asyncio.ensure_future(run_in_threadpool(self._write_use, key_id))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    def _write_use(self, key_id: str) -> None:
        try:
            with self._database.write_transaction() as session:
                note_use(session, key_id)
        except SQLAlchemyError as error:
            _log.warning("use_not_noted", key=key_id, error=type(error).__name__)

    def _read(self, look: Callable[..., Any], *arguments: object) -> Any:
        with self._database.read_transaction() as session:
            return look(session, *arguments)


def refuse_without_keys(session: Session, settings: Settings) -> None:
    """Let a service begin to listen where its settings say.

    Raises:
        KeysRequired: others can reach it, and there is neither a key nor an issuer of tokens.
    """
    host = settings.host
    if not is_loopback(host) and not settings.oidc_issuer and not has_keys(session):
        raise KeysRequired(
            f"{host} can be reached by others, and there is no key yet: make one with "
            "'frontrunner keys create NAME --scope read --scope write', or listen on 127.0.0.1"
        )
