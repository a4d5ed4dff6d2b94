"""`open_store`: the store that the settings name."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from frontrunner.errors import StoreMisconfigured
from frontrunner.outside import outside
from frontrunner.settings import Settings
from frontrunner.store.disk_cache import DiskCache
from frontrunner.store.folder import FolderStore
from frontrunner.store.protocol import Store


def open_store(settings: Settings) -> Store:
    """The store that the settings name: their home, another folder, or a bucket; in a confined process another's.

    Raises:
        StoreMisconfigured: the address or the options cannot be used.
    """
    if (other := outside()) is not None:
        return other.store
    url = settings.store_url
    if not url:
        return FolderStore(settings.home)
    protocol, separator, rest = url.partition("://")
    if not separator or protocol == "file":
        return FolderStore(Path(rest if separator else url))
    options = settings.store_options
    text = "{}" if options is None else options.get_secret_value()
    return _remote(url, text, settings.copies, settings.store_cache_bytes)


@functools.lru_cache(maxsize=8)
def _remote(url: str, options: str, folder: Path, max_bytes: int) -> Store:
    from frontrunner.store.remote import RemoteStore  # whoever uses a folder loads no client of a bucket

    try:
        parsed: Any = json.loads(options)
    except ValueError as error:
        raise StoreMisconfigured(f"FRONTRUNNER_STORE_OPTIONS is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise StoreMisconfigured("FRONTRUNNER_STORE_OPTIONS is no JSON object")
    return RemoteStore(url, parsed, DiskCache(folder, max_bytes))
