"""What was shown of a job that runs: made once for a version, however many ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

# All that is kept, and the largest of it: partial rankings of thousands of checkpoints are made anew each time.
MAX_BYTES = 8 << 20
MAX_BODY_BYTES = 1 << 20


class _Making:
    """A body that somebody makes; others wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.body: bytes | None = None


class Shown:
    """Bodies of answers by job and version; those that were asked for longest ago go first. Called from any thread.

    Making a partial ranking takes longer than all else that answers a poll together, and changes only with its job's
    version. Whoever asks has found the job first, as their own tenant: a body is found by no id alone.
    """

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0
        self._making: dict[tuple[str, int], _Making] = {}
        self._lock = threading.Lock()

    def show(self, job_id: str, version: int, make: Callable[[], bytes]) -> bytes:
        """What is shown of a job at this version: as it was made, or as `make` makes it now, once for all who ask."""
        if (body := self.find(job_id, version)) is not None:
            return body
        with self._lock:
            making = self._making.setdefault((job_id, version), _Making())
        with making.lock:
            if making.body is None:
                making.body = make()
                self.keep(job_id, version, making.body)
                with self._lock:
                    self._making.pop((job_id, version), None)
            return making.body

    def find(self, job_id: str, version: int) -> bytes | None:
        """What was shown of a job at this version."""
        with self._lock:
            known, body = self._bodies.get(job_id, (-1, b""))
            if known != version:
                return None
            self._bodies.move_to_end(job_id)
            return body

    def keep(self, job_id: str, version: int, body: bytes) -> None:
        """Remember what was shown; of a job its newest version alone."""
        with self._lock:
            known, _ = self._bodies.get(job_id, (-1, b""))
            if known > version:
                return
            self._drop(job_id)
            if len(body) <= MAX_BODY_BYTES:
                self._bodies[job_id] = (version, body)
                self._bytes += len(body)
            while self._bytes > MAX_BYTES:
                self._drop(next(iter(self._bodies)))

    def _drop(self, job_id: str) -> None:
        _, body = self._bodies.pop(job_id, (-1, b""))
        self._bytes -= len(body)
