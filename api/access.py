"""Who asks: the key of a request, checked once in a few seconds.

A service without keys is this machine's own: it answers connections to a loopback address only, as the default tenant.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.access_errors import KeyInvalid, KeyMissing, KeysRequired, ScopeMissing
from api.door import is_loopback
from jobs.keys import USED_EVERY_S, Principal, Scope, has_keys, note_use, principal_of
from models import Database
from models.tenant import DEFAULT_TENANT

# A key that was found good is not looked up again for so long: a revoked one is good for this much longer.
KNOWN_FOR_S = 3.0
# Entries beyond this are forgotten together.
_MAX_KNOWN = 10_000

ANYBODY = Principal(DEFAULT_TENANT, frozenset(Scope))


def require(principal: Principal, *scopes: Scope) -> None:
    """Let pass who has these scopes.

    Raises:
        ScopeMissing: one is missing.
    """
    if missing := [scope for scope in scopes if scope not in principal.scopes]:
        raise ScopeMissing(f"the key '{principal.key_id}' has not the scope {', '.join(map(repr, map(str, missing)))}")


class Access:
    """Finds out who asks. Lives in one event loop.

    Args:
        database: where keys are.
        secret: what digests of keys are made with.
    """

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._noted: dict[str, float] = {}
        self._has_keys = False
        self._looked_at = float("-inf")

    async def principal(self, key: str | None, address: str) -> Principal:
        """Who sends `key` to our own `address`.

        Raises:
            KeyMissing, KeyInvalid: there are keys, and this is none.
            KeysRequired: there are none, and the address is open to others.
        """
        now = time.monotonic()
        if key is None:
            if await self._are_there_keys(now):
                raise KeyMissing("this service has keys: send one as 'Authorization: Bearer KEY'")
            if not is_loopback(address):
                raise KeysRequired(
                    "without keys only this machine is answered: make one with 'frontrunner keys create'"
                )
            return ANYBODY
        name = hashlib.sha256(key.encode()).digest()
        until, found = self._known.get(name, (0.0, None))
        if found is None or until < now:
            try:
                found = await run_in_threadpool(self._find, key)
            except OperationalError:
                if found is None:
                    raise
                return found  # with the database away little else is answered than metrics, which tell of it
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[name] = (now + KNOWN_FOR_S, found)
        return found

    async def _are_there_keys(self, now: float) -> bool:
        if not self._has_keys and now - self._looked_at > KNOWN_FOR_S:
            try:
                self._has_keys = await run_in_threadpool(self._read, has_keys)
            except OperationalError:
                if self._looked_at == float("-inf"):
                    raise
            else:
                self._looked_at = now
        return self._has_keys

    def _find(self, key: str) -> Principal:
        found: Principal | None = self._read(principal_of, self._secret, key)
        if found is None or found.key_id is None:
            raise KeyInvalid("the key is unknown, revoked or expired; make another with 'frontrunner keys create'")
        now = time.monotonic()
        if now - self._noted.get(found.key_id, float("-inf")) > USED_EVERY_S:
            self._noted[found.key_id] = now
            with self._database.write_transaction() as session:
                note_use(session, found.key_id)
        return found

    def _read(self, look: Callable[..., Any], *arguments: object) -> Any:
        with self._database.read_transaction() as session:
            return look(session, *arguments)


def refuse_without_keys(session: Session, host: str) -> None:
    """Let a service begin to listen on `host`.

    Raises:
        KeysRequired: others can reach it, and there is no key.
    """
    if not is_loopback(host) and not has_keys(session):
        raise KeysRequired(
            f"{host} can be reached by others, and there is no key yet: make one with "
            "'frontrunner keys create NAME --scope read --scope write', or listen on 127.0.0.1"
        )
