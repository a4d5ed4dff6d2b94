"""Secrets in the database are sealed: a copy of it tells none, and keys can be changed."""

from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr
from sqlalchemy import select, text

import migrations
from frontrunner.settings import Settings
from jobs.sealing import EncryptionKeyTooShort, Seal, SecretSealed, reseal
from jobs.upgrading import bring_up_to_date
from models import WebhookRow

OLD, NEW = "o" * 32, "n" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def seal(tmp_path, *keys):
    return Seal.of(Settings(home=tmp_path, encryption_keys=SecretStr(",".join(keys))))


def test_what_is_sealed_is_fernets_under_a_derived_key_and_never_twice_the_same(tmp_path):
    kept = seal(tmp_path, OLD).close(SECRET)
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"frontrunner secrets at rest").derive(OLD.encode())
    assert Fernet(base64.urlsafe_b64encode(derived)).decrypt(kept.encode()).decode() == SECRET
    assert SECRET not in kept
    assert kept != seal(tmp_path, OLD).close(SECRET)
    assert len(kept) <= WebhookRow.__table__.c.secret.type.length


def test_a_new_key_in_front_seals_and_the_old_one_opens_until_it_is_taken_away(tmp_path):
    kept = seal(tmp_path, OLD).close(SECRET)
    both = seal(tmp_path, NEW, OLD)
    assert both.open(kept) == SECRET
    renewed = both.renew(kept)
    assert seal(tmp_path, NEW).open(renewed) == SECRET
    with pytest.raises(SecretSealed, match="ENCRYPTION_KEYS"):
        seal(tmp_path, NEW).open(kept)
    with pytest.raises(SecretSealed):
        both.open(kept[:-4] + "AAAA")


def test_without_keys_in_the_settings_the_services_secret_seals(tmp_path):
    settings = Settings(home=tmp_path)
    assert Seal.of(settings).open(Seal.of(settings).close(SECRET)) == SECRET
    assert (tmp_path / "secret.key").exists()
    other = Settings(home=tmp_path, secret_key=SecretStr("x" * 32))
    with pytest.raises(SecretSealed):
        Seal.of(other).open(Seal.of(settings).close(SECRET))


@pytest.mark.parametrize("keys", [",".join([OLD, "short"]), "," * 32])
def test_a_short_key_is_refused(tmp_path, keys):
    with pytest.raises(EncryptionKeyTooShort):
        seal(tmp_path, keys)


def test_secrets_that_an_older_version_kept_open_are_sealed_with_the_migration(database, tmp_path):
    migrations.downgrade(database, "0003")
    with database.write_transaction() as session:
        session.execute(
            text(
                "INSERT INTO webhooks (id, tenant, url, secret, enabled, failures)"
                " VALUES ('hook_1', 'anna', 'https://x', :secret, :yes, 0)"
            ),
            {"secret": SECRET, "yes": True},
        )
    settings = Settings(home=tmp_path)
    for _ in range(2):
        bring_up_to_date(database, settings)
        with database.read_transaction() as session:
            kept = session.scalar(select(WebhookRow.secret))
        assert SECRET not in kept
        assert Seal.of(settings).open(kept) == SECRET
    keys = SecretStr(NEW)
    with pytest.raises(SecretSealed), database.write_transaction() as session:
        reseal(session, Seal.of(Settings(home=tmp_path, encryption_keys=keys)))
    key = (tmp_path / "secret.key").read_text()
    both = Settings(home=tmp_path, encryption_keys=SecretStr(f"{NEW},{key}"))
    with database.write_transaction() as session:
        assert reseal(session, Seal.of(both)) == 1
    with database.read_transaction() as session:
        assert seal(tmp_path, NEW).open(session.scalar(select(WebhookRow.secret))) == SECRET
