"""The service's secret: what digests of keys are made with, so that a copy of the database alone opens nothing."""

from __future__ import annotations

import contextlib
import os
import secrets

from frontrunner.settings import Settings

_FILE = "secret.key"
_BYTES = 32


def service_secret(settings: Settings) -> bytes:
    """`secret_key` of the settings, or the file under `home`, which is made where there is none."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.home / _FILE
    with contextlib.suppress(FileExistsError):
        partial = settings.home / f".{secrets.token_hex(8)}.{_FILE}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(_BYTES).encode())
            os.link(partial, path)  # whole, and never over another process's
        finally:
            partial.unlink()
    return path.read_bytes()
