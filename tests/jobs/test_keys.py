"""API keys: what is kept of them, how long they are good, and who they let in."""

from __future__ import annotations

import re
import zlib

import pytest
from sqlalchemy import select, update

from frontrunner.settings import Settings
from jobs.keys import (
    KeyNotFound,
    Principal,
    Scope,
    TenantNameInvalid,
    create_key,
    has_keys,
    note_use,
    principal_of,
    replace_key,
    revoke_key,
)
from jobs.secret import service_secret
from models import KeyRow, database_now

SECRET = b"s" * 32


def make(database, **terms):
    with database.write_transaction() as session:
        row, key = create_key(session, SECRET, **({"name": "n"} | terms))
        return row.id, key


def who(database, key, secret=SECRET):
    with database.read_transaction() as session:
        return principal_of(session, secret, key)


def test_a_key_lets_its_tenant_in_with_its_scopes_and_is_kept_nowhere(database):
    key_id, key = make(database, tenant="anna", scopes=(Scope.TUNE, Scope.READ))
    assert who(database, key) == Principal("anna", frozenset({Scope.READ, Scope.TUNE}), f"key:{key_id}")
    with database.read_transaction() as session:
        (row,) = session.scalars(select(KeyRow))
        kept = " ".join(str(value) for value in vars(row).values())
    assert key.split("_")[2][:20] not in kept
    assert who(database, key, secret=b"t" * 32) is None


def test_a_key_has_the_form_that_scanners_look_for(database):
    _, key = make(database)
    assert re.fullmatch(r"frk_[0-9a-f]{16}_[0-9A-Za-z]{49}", key)
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    number = sum(letters.index(letter) * 62**place for place, letter in enumerate(key[-6:]))
    assert number == zlib.crc32(key[:-6].encode())


@pytest.mark.parametrize(
    "mistyped", [lambda k: k[:-1], lambda k: k.swapcase(), lambda k: k + "0", lambda k: "", lambda k: f"{k}\n"]
)
def test_a_mistyped_key_is_none(database, mistyped):
    _, key = make(database)
    assert who(database, mistyped(key)) is None


def test_a_key_of_another_row_is_none_although_its_checksum_fits(database):
    (first, key), (second, _) = make(database), make(database)
    body = key.replace(first, second)[:-6]
    with database.read_transaction() as session:
        from jobs.keys import _check

        assert principal_of(session, SECRET, body + _check(body)) is None


def test_revoked_and_expired_keys_are_good_for_nothing(database):
    (revoked, first), (expired, second), (_, third) = make(database), make(database), make(database, valid_s=60.0)
    with database.write_transaction() as session:
        revoke_key(session, revoked)
        session.execute(update(KeyRow).where(KeyRow.id == expired).values(expires_at=database_now() - 1))
    assert (who(database, first), who(database, second)) == (None, None)
    assert who(database, third) is not None
    with pytest.raises(KeyNotFound), database.write_transaction() as session:
        revoke_key(session, "0" * 16)


def test_a_replaced_key_is_good_for_its_grace(database):
    old_id, old = make(database, tenant="anna", scopes=(Scope.ADMIN,))
    with database.write_transaction() as session:
        _, new = replace_key(session, SECRET, old_id, 3600.0)
    assert who(database, new).tenant == "anna"
    assert who(database, new).scopes == who(database, old).scopes == {Scope.ADMIN}
    with database.read_transaction() as session:
        left = session.scalar(select(KeyRow.expires_at - database_now()).where(KeyRow.id == old_id))
    assert 3500 < left <= 3600
    with database.write_transaction() as session:
        replace_key(session, SECRET, old_id, 0.0)
    assert who(database, old) is None
    with pytest.raises(KeyNotFound), database.write_transaction() as session:
        replace_key(session, SECRET, old_id, 0.0)


def test_its_use_is_noted_once_a_minute(database):
    key_id, _ = make(database)
    for _ in range(2):
        with database.write_transaction() as session:
            note_use(session, key_id)
            row = session.get(KeyRow, key_id, populate_existing=True)
            used = row.last_used_at
    with database.read_transaction() as session:
        assert session.get(KeyRow, key_id).last_used_at == used
        assert has_keys(session)


@pytest.mark.parametrize("tenant", ["", "Anna", "a b", "../x", "a" * 65, "-a"])
def test_a_tenant_is_called_by_a_plain_name(database, tenant):
    with pytest.raises(TenantNameInvalid):
        make(database, tenant=tenant)


def test_the_secret_is_made_once_and_is_nobody_elses_to_read(tmp_path):
    settings = Settings(home=tmp_path)
    secret = service_secret(settings)
    assert service_secret(settings) == secret
    assert len(secret) == 64
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    assert service_secret(Settings(home=tmp_path, secret_key="x" * 32)) == b"x" * 32
