"""The most memory that this process held since a moment: what a checkpoint takes while it is opened and read."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
# Tells Linux to forget the highest resident size so far.
_FORGET_PEAK = "5"


class PeakMemory:
    """Growth of this process's resident memory since it was made; exact on Linux, else what is resident when asked."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):  # not Linux, or not allowed: the peak then includes what came before
            _RESET.write_text(_FORGET_PEAK)
        self._before = psutil.Process().memory_info().rss
        self._highest = 0

    def growth_bytes(self) -> int:
        """Bytes at the highest point so far beyond those at the start."""
        self._highest = max(self._highest, _peak_bytes() - self._before)
        return self._highest


def _peak_bytes() -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return int(psutil.Process().memory_info().rss)
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
