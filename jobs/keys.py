"""API keys: made, shown once, checked, replaced and revoked.

A key is `frk_ID_SECRETCHECK`: an id that stands in lists and logs, 43 random letters, and a checksum by which a key
that was cut short or mistyped, and one that a scanner finds in a repository, is told without asking the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from frontrunner.errors import FrontrunnerError
from models.base import database_now
from models.key import KeyRow
from models.tenant import DEFAULT_TENANT

PREFIX = "frk"
_LETTERS = string.digits + string.ascii_letters
_SECRET_LETTERS = 43
_CHECK_LETTERS = 6
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{16}})_[0-9A-Za-z]{{{_SECRET_LETTERS}}}([0-9A-Za-z]{{{_CHECK_LETTERS}}})")
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# How precisely a key's last use is known: one write a minute at most.
USED_EVERY_S = 60.0


class Scope(StrEnum):
    """What a key allows. None includes another."""

    READ = "read"
    WRITE = "write"
    TUNE = "tune"
    ADMIN = "admin"


class KeyNotFound(FrontrunnerError):
    """There is no such key."""

    code = "key_not_found"


class TenantNameInvalid(FrontrunnerError):
    """A tenant's name is small letters, digits, dots, dashes and underscores, 64 at most."""

    code = "tenant_name_invalid"


@dataclass(frozen=True)
class Principal:
    """Who asks: a tenant, and what is allowed.

    Attributes:
        tenant: whose rows are read and written.
        scopes: what may be done.
        name: `key:ID`, `oidc:SUBJECT` of a token, `anybody` on a service without keys.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str = "anybody"


def is_tenant_name(name: str) -> bool:
    """Whether a tenant can be called so."""
    return _TENANT.fullmatch(name) is not None


def require_tenant_name(name: str) -> None:
    """Let a tenant's name pass.

    Raises:
        TenantNameInvalid: none can be called so.
    """
    if not is_tenant_name(name):
        raise TenantNameInvalid(f"'{name}' is no name of a tenant: small letters, digits and . _ - are accepted")


def create_key(
    session: Session,
    secret: bytes,
    *,
    name: str,
    tenant: str = DEFAULT_TENANT,
    scopes: Collection[Scope] = (Scope.READ, Scope.WRITE),
    valid_s: float | None = None,
) -> tuple[KeyRow, str]:
    """Make a key; the row, and the key itself, which is nowhere else.

    Raises:
        TenantNameInvalid: the tenant cannot be called so.
    """
    require_tenant_name(tenant)
    body = f"{PREFIX}_{secrets.token_hex(8)}_{''.join(secrets.choice(_LETTERS) for _ in range(_SECRET_LETTERS))}"
    key = body + _check(body)
    row = KeyRow(
        id=id_of(key),
        tenant=tenant,
        name=name[:100],
        digest=_digest(secret, key),
        scopes=" ".join(sorted(set(scopes))),
        expires_at=None if valid_s is None else (session.scalar(select(database_now())) or 0.0) + valid_s,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, key


def replace_key(session: Session, secret: bytes, key_id: str, grace_s: float) -> tuple[KeyRow, str]:
    """Make a key that may do the same; the old one is good for `grace_s` more, unless it ends before.

    Raises:
        KeyNotFound: there is no such key, or it is good no more.
    """
    old = session.scalar(select(KeyRow).where(KeyRow.id == key_id, *_good()).with_for_update())
    if old is None:
        raise KeyNotFound(f"there is no key '{key_id}' that is still good")
    now = session.scalar(select(database_now())) or 0.0
    valid_s = None if old.expires_at is None else old.expires_at - old.created_at
    scopes = [Scope(name) for name in old.scopes.split()]
    made = create_key(session, secret, name=old.name, tenant=old.tenant, scopes=scopes, valid_s=valid_s)
    old.expires_at = min(now + grace_s, old.expires_at or now + grace_s)
    return made


def revoke_key(session: Session, key_id: str) -> KeyRow:
    """Make a key good for nothing, now.

    Raises:
        KeyNotFound: there is no such key.
    """
    row = session.get(KeyRow, key_id, with_for_update=True)
    if row is None:
        raise KeyNotFound(f"there is no key '{key_id}'")
    row.revoked_at = row.revoked_at or session.scalar(select(database_now()))
    return row


def has_keys(session: Session) -> bool:
    """Whether a key was ever made: from then on every request needs one."""
    return session.scalar(select(KeyRow.id).limit(1)) is not None


def principal_of(session: Session, secret: bytes, key: str) -> Principal | None:
    """Who holds a key; None where it is none, or good no more."""
    form = _FORM.fullmatch(key)
    if form is None or not hmac.compare_digest(form[2], _check(key[:-_CHECK_LETTERS])):
        return None
    row = session.scalar(select(KeyRow).where(KeyRow.id == form[1], *_good()))
    if row is None or not hmac.compare_digest(row.digest, _digest(secret, key)):
        return None
    return _holder(row)


def principal_of_id(session: Session, key_id: str) -> Principal | None:
    """Who holds the key with this id, which was shown before; None where it is good no more."""
    row = session.scalar(select(KeyRow).where(KeyRow.id == key_id, *_good()))
    return None if row is None else _holder(row)


def id_of(key: str) -> str:
    """The part of a key that is no secret."""
    return key.split("_")[1]


def note_use(session: Session, key_id: str) -> None:
    """Remember that a key was used."""
    is_old = KeyRow.last_used_at.is_(None) | (KeyRow.last_used_at < database_now() - USED_EVERY_S)
    session.execute(update(KeyRow).where(KeyRow.id == key_id, is_old).values(last_used_at=database_now()))


def _holder(row: KeyRow) -> Principal:
    return Principal(row.tenant, frozenset(Scope(name) for name in row.scopes.split()), f"key:{row.id}")


def _good() -> tuple[ColumnElement[bool], ...]:
    in_time = KeyRow.expires_at.is_(None) | (KeyRow.expires_at > database_now())
    return (KeyRow.revoked_at.is_(None), in_time)


def _digest(secret: bytes, key: str) -> str:
    return hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()


def _check(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_LETTERS):
        number, index = divmod(number, len(_LETTERS))
        letters += _LETTERS[index]
    return letters
