"""Connections: one that says nothing, or says the head of its request a letter at a time, is closed.

uvicorn waits for ever for the rest of a head; a few hundred such connections use up what a process may have open.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# From when a connection opens, or the first byte of its next request has come, until the head is whole.
HEAD_TIMEOUT_S = 20.0


class TimedProtocol(H11Protocol):
    """uvicorn's own protocol over h11, with a clock that runs while a head is incomplete."""

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request has begun, and start it where the next one has begun in part."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_clock()
        elif self._clock is None:
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def uvicorn_options(host: str, port: int) -> dict[str, Any]:
    """What uvicorn is told, whoever starts it."""
    return {
        "host": host,
        "port": port,
        "http": TimedProtocol,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # Longer than clients keep idle connections, or they would send a request into one that is just being closed.
        "timeout_keep_alive": 30,
        # Requests that wait, and streams of events, are cut off this long after SIGTERM.
        "timeout_graceful_shutdown": 5,
    }
