"""A Celery transport over a folder, for one machine without a broker.

Kombu ships one that writes a message under its final name, so a reader may take half of it, and that moves taken
messages across file systems. Here a message appears and is taken by one atomic rename inside one folder.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

SCHEME = "atomic-filesystem"


class Channel(virtual.Channel):
    """Messages as files `TIME-UUID.QUEUE.msg` in one folder; a taken one is renamed before it is read."""

    do_restore = False

    def _put(self, queue: str, message: Any, **_kwargs: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        partial = self._folder / f"{name}.writing"
        partial.write_text(dumps(message))
        os.rename(partial, self._folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for path in self._waiting(queue):
            taken = path.with_suffix(".taken")
            try:
                os.rename(path, taken)
            except FileNotFoundError:
                continue  # another worker was first
            try:
                return loads(taken.read_text())
            finally:
                taken.unlink(missing_ok=True)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        waiting = self._waiting(queue)
        for path in waiting:
            path.unlink(missing_ok=True)
        return len(waiting)

    def _waiting(self, queue: str) -> list[Path]:
        return sorted(self._folder.glob(f"*.{queue}.msg"))

    @property
    def _folder(self) -> Path:
        return Path(self.connection.client.transport_options["folder"])


class Transport(virtual.Transport):
    """The transport that Celery asks for by `SCHEME`: one channel class, no server to connect to."""

    Channel = Channel
    implements = virtual.Transport.implements.extend(asynchronous=False, exchange_type=frozenset(["direct"]))
    driver_type = "filesystem"
    driver_name = SCHEME
    global_state = virtual.BrokerState()

    def driver_version(self) -> str:
        """No driver underneath."""
        return "1"


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
