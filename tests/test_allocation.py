"""Freed memory stays with the process inside the block, also where blocks are nested, and goes back after it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
MEASUREMENT = """
import resource
from frontrunner.allocation import freed_memory_kept

size, times = 32 << 20, 20

def passes():
    '''How often the system had to clear a block's pages, of `times` blocks that are freed at once.'''
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        b"x" * size
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / (size / resource.getpagesize())

with freed_memory_kept():
    with freed_memory_kept():
        passes()
    print(passes())
print(passes())
"""


def test_blocks_are_cleared_once_inside_and_each_time_outside():
    # A process of its own: in one with a fragmented heap a block may come from a gap that other tests left.
    ran = subprocess.run([sys.executable, "-c", MEASUREMENT], capture_output=True, text=True, check=True)
    inside, outside = map(float, ran.stdout.split())
    assert inside < 1  # the inner block's end lets nothing go
    assert outside > 10
