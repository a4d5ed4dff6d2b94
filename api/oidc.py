"""Bearer tokens of an OpenID Connect issuer: who they say asks, once everything about them holds.

The issuer says by its discovery document where its keys are. A token that names a key that is not known makes us look
again, at most every few seconds: so keys that the issuer rotates are found, and invented ones cost it nothing.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import structlog
from jwt import PyJWK, PyJWKSet

from api.access_errors import KeyInvalid, KeysUnavailable, OIDCMisconfigured
from api.addresses import is_loopback
from frontrunner.settings import Settings
from jobs.keys import Principal, Scope, is_tenant_name

# Keys are looked at again after this long, so that one that the issuer withdraws is not good for ever.
KEYS_KEPT_S = 300.0
# And no sooner than this, whatever tokens say.
MIN_REFRESH_S = 10.0
# Those of an issuer that does not answer any more are good for so long.
KEYS_USABLE_S = 3600.0
_TIMEOUT_S = 5.0
# Of a whole document, however it drips.
_LONGEST_S = 10.0
_MAX_DOCUMENT_BYTES = 1 << 20
# Signatures that only the issuer can make: none of the symmetric ones, and never `none`.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})

_log = structlog.get_logger(__name__)


class TokenIssuer:
    """Reads one issuer's tokens; called from any thread.

    Args:
        settings: with an issuer.

    Raises:
        OIDCMisconfigured: no audience, an address that is not https, an algorithm that is no signature of the issuer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer
        self._algorithms = list(settings.oidc_algorithms)
        if not settings.oidc_audience:
            raise OIDCMisconfigured("OIDC_ISSUER is set, and OIDC_AUDIENCE is not: a token made for others would do")
        unfit = [name for name in self._algorithms if name not in _ALGORITHMS]
        if unfit or not self._algorithms:
            raise OIDCMisconfigured(
                f"OIDC_ALGORITHMS: {unfit or 'none'}; accepted are {', '.join(sorted(_ALGORITHMS))}"
            )
        _require_safe(self._issuer)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")

    def principal(self, token: str) -> Principal:
        """Who a token says asks.

        Raises:
            KeyInvalid: it is none of this issuer's, for others, over, not signed as it must be, or says no tenant.
            KeysUnavailable: the issuer does not say its keys now.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._settings.oidc_audience,
                issuer=self._issuer,
                leeway=self._settings.oidc_leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise KeyInvalid(f"the token is not accepted: {error}") from error
        return self._principal_of(claims)

    def _principal_of(self, claims: dict[str, Any]) -> Principal:
        settings = self._settings
        tenant = claims.get(settings.oidc_tenant_claim)
        if not isinstance(tenant, str) or not is_tenant_name(tenant):
            raise KeyInvalid(f"the token's claim '{settings.oidc_tenant_claim}' names no tenant")
        said = claims.get(settings.oidc_scope_claim, "")
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        known = {f"{settings.oidc_scope_prefix}{scope}": scope for scope in Scope}
        scopes = frozenset(known[word] for word in words if isinstance(word, str) and word in known)
        return Principal(tenant, scopes, f"oidc:{claims['sub']}")

    def _key(self, name: str) -> PyJWK:
        # Those who know their key already wait for nothing, however slow the issuer is.
        if not self._is_usable(name):
            with self._asking:
                if not self._is_usable(name):
                    self._refresh()
        elif time.monotonic() - self._read_at > KEYS_KEPT_S and self._asking.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._asking.release()
        with self._lock:
            keys, read_at = self._keys, self._read_at
        if time.monotonic() - read_at > KEYS_USABLE_S:
            raise KeysUnavailable(f"{self._issuer} does not say its keys; try again soon")
        if name not in keys:
            raise KeyInvalid("the token is not accepted: its issuer has no such key")
        return keys[name]

    def _is_usable(self, name: str) -> bool:
        with self._lock:
            return name in self._keys and time.monotonic() - self._read_at <= KEYS_USABLE_S

    def _refresh(self) -> None:
        """Ask the issuer, unless that was tried just now; by whoever holds `_asking`."""
        now = time.monotonic()
        if now - self._tried_at <= MIN_REFRESH_S:
            return
        self._tried_at = now
        try:
            keys = self._issuers_keys()
        except (httpx.HTTPError, ValueError, jwt.PyJWTError, OIDCMisconfigured) as error:
            _log.warning("issuer_unavailable", issuer=self._issuer, error=str(error))
            return
        with self._lock:
            self._keys, self._read_at = keys, now

    def _issuers_keys(self) -> dict[str, PyJWK]:
        discovered = _document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if discovered.get("issuer") != self._issuer:
            raise ValueError(f"its document is of '{discovered.get('issuer')}'")
        found = PyJWKSet.from_dict(_document(str(discovered.get("jwks_uri", "")))).keys
        return {
            key.key_id: key
            for key in found
            if key.key_id and key.key_type != "oct" and key.public_key_use in (None, "sig")
        }


def _document(url: str) -> dict[str, Any]:
    _require_safe(url)
    began = time.monotonic()
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _MAX_DOCUMENT_BYTES:
                raise ValueError(f"{url} answers with more than {_MAX_DOCUMENT_BYTES:,} bytes")
            if time.monotonic() - began > _LONGEST_S:
                raise ValueError(f"{url} takes longer than {_LONGEST_S:g} s")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{url} answers with no object")
    return found


def _require_safe(url: str) -> None:
    parsed = urlsplit(url)
    if parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.hostname or "")):
        return
    raise OIDCMisconfigured(f"'{url}' is not https: whoever is between could make tokens")
