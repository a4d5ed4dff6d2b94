"""Freed memory stays with the process inside the block, also where blocks are nested, and goes back after it."""

from __future__ import annotations

import ctypes
import resource

import pytest

from frontrunner.allocation import freed_memory_kept

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
SIZE, TIMES = 32 << 20, 20


def pages_cleared() -> int:
    """How many pages the system had to clear for blocks that are freed at once, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(TIMES):
        b"x" * SIZE
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_blocks_are_cleared_once_inside_and_each_time_outside():
    page = resource.getpagesize()
    with freed_memory_kept():
        with freed_memory_kept():
            pages_cleared()
        assert pages_cleared() < SIZE / page  # the inner block's end lets nothing go
    assert pages_cleared() > TIMES / 2 * SIZE / page
