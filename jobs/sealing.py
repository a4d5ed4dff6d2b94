"""Sealing: secrets that the database keeps are encrypted there, so that a copy of it tells none.

The keys are in the settings, or derived from what digests of API keys are made with. The first of several seals, all
open: a new one is put in front, `frontrunner admin reseal` rewrites what the old ones sealed, and they are taken away.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.errors import FrontrunnerError
from frontrunner.settings import Settings
from jobs.secret import service_secret
from models.webhook import WebhookRow

# Secrets of webhooks began so before they were sealed; no sealed one does.
_UNSEALED = "whsec_"
_MIN_CHARACTERS = 32


class SecretSealed(FrontrunnerError):
    """A secret in the database was sealed with a key that is not here."""

    code = "secret_sealed"


class EncryptionKeyTooShort(FrontrunnerError):
    """Keys that seal have 32 characters or more."""

    code = "encryption_key_too_short"


class Seal:
    """Seals secrets and opens them again.

    Args:
        keys: of any form; the first seals, all open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in keys])

    @classmethod
    def of(cls, settings: Settings) -> Seal:
        """The one of this service.

        Raises:
            EncryptionKeyTooShort: a key of the settings is none.
        """
        if settings.encryption_keys is None:
            return cls([service_secret(settings)])
        keys = [key.strip() for key in settings.encryption_keys.get_secret_value().split(",") if key.strip()]
        if not keys or min(map(len, keys)) < _MIN_CHARACTERS:
            raise EncryptionKeyTooShort(f"each of ENCRYPTION_KEYS must have {_MIN_CHARACTERS} characters or more")
        return cls([key.encode() for key in keys])

    def close(self, secret: str) -> str:
        """What the database may keep of a secret."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, kept: str) -> str:
        """The secret.

        Raises:
            SecretSealed: no key of ours has sealed it.
        """
        try:
            return self._fernet.decrypt(kept.encode()).decode()
        except InvalidToken:
            raise SecretSealed(
                "the secret was sealed with a key that is not among ENCRYPTION_KEYS (or, without them, SECRET_KEY or "
                "the file secret.key) of this process"
            ) from None

    def renew(self, kept: str) -> str:
        """The same secret, sealed with the first key.

        Raises:
            SecretSealed: no key of ours has sealed it.
        """
        return self.close(kept if kept.startswith(_UNSEALED) else self.open(kept))


def seal_what_is_not(session: Session, seal: Seal) -> int:
    """Seal the secrets that were kept before there were seals; how many."""
    rows = session.scalars(select(WebhookRow).where(WebhookRow.secret.startswith(_UNSEALED)).with_for_update()).all()
    for row in rows:
        row.secret = seal.renew(row.secret)
    return len(rows)


def reseal(session: Session, seal: Seal) -> int:
    """Seal every secret with the first key; how many.

    Raises:
        SecretSealed: one was sealed with a key that is not here. Nothing is changed.
    """
    rows = session.scalars(select(WebhookRow).with_for_update()).all()
    for row in rows:
        row.secret = seal.renew(row.secret)
    return len(rows)


def _derived(key: bytes) -> bytes:
    """A key of Fernet's form."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"frontrunner secrets at rest")
    return base64.urlsafe_b64encode(derivation.derive(key))
