"""Connections: one that says nothing, says the head of its request a letter at a time, or takes no answer, is closed.

uvicorn waits for ever for the rest of a head, and for whoever reads an answer; a few hundred such connections use up
what a process may have open.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# From when a connection opens, or the first byte of its next request has come, until the head is whole.
HEAD_TIMEOUT_S = 20.0
# An answer that waits to be taken is looked at so often, and must have gone on by so many bytes a second.
TAKING_TIMEOUT_S = 30.0
MIN_TAKEN_PER_S = 512


class TimedProtocol(H11Protocol):
    """uvicorn's own protocol over h11, with a clock while a head is incomplete, and one while answers wait."""

    _clock: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _waiting = 0

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
        """Stop both clocks."""
        self._stop_clock()
        self._stop_taking()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Answers wait in this process: look how fast they are taken."""
        super().pause_writing()
        self._look_at_taking()

    def resume_writing(self) -> None:
        """They were taken."""
        super().resume_writing()
        self._stop_taking()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; the rest of its answers goes with it, where nobody takes that."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(TAKING_TIMEOUT_S, self.transport.abort)

    def _look_at_taking(self) -> None:
        self._waiting = self._bytes_waiting()
        self._taking = self.loop.call_later(TAKING_TIMEOUT_S, self._require_taking)

    def _require_taking(self) -> None:
        if self._waiting - self._bytes_waiting() < MIN_TAKEN_PER_S * TAKING_TIMEOUT_S:
            self.transport.abort()
        else:
            self._look_at_taking()

    def _bytes_waiting(self) -> int:
        """Here, and in the system, which takes more of them only once a good part of its own is gone."""
        waiting = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, AttributeError):  # no socket any more, or a system that does not tell
            told = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
            waiting += int.from_bytes(told, sys.byteorder)
        return waiting

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

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
