"""Checks of valid tables in a row, and how many were refused: `python -m benchmarks.service.checks [COUNT] [AT ONCE]`.

Once, one in a hundred was: the process of a check aborted while its interpreter was taken down, before its answer had
left. None may be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frontrunner.data import DatasetOptions
from frontrunner.data.isolation import check_isolated
from frontrunner.errors import FrontrunnerError

ROWS = 60
# Checks between two lines of progress.
TOLD_EVERY = 100


def main() -> None:
    """Print how many were refused."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    at_once = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        refused = check_many(Path(folder), count, at_once, tell=print)
        seconds = time.perf_counter() - began
    print(f"{refused} of {count:,} valid tables refused, {seconds / count:.2f} s each, {at_once} at once")


def check_many(folder: Path, count: int, at_once: int, tell: Callable[[str], None] | None = None) -> int:
    """Check one valid CSV `count` times; how many checks refused it.

    Args:
        folder: where the CSV is written.
        count: how many checks.
        at_once: how many of them at a time.
        tell: hears of progress.
    """
    path = folder / "valid.csv"
    path.write_text("text,label\n" + "".join(f"words of row {row},{row % 3}\n" for row in range(ROWS)))

    def is_refused(_number: int) -> bool:
        try:
            report = check_isolated(
                path, DatasetOptions(), digest="0" * 64, name=path.name, timeout_s=120.0, memory_bytes=4 << 30
            )
        except FrontrunnerError as error:
            print(f"{error.code}: {error.reason}", file=sys.stderr)
            return True
        return report.train_examples != ROWS

    with ThreadPoolExecutor(at_once) as pool:
        refused = 0
        for done, was_refused in enumerate(pool.map(is_refused, range(count)), start=1):
            refused += was_refused
            if tell is not None and done % TOLD_EVERY == 0:
                tell(f"{done:,} of {count:,}, {refused} refused")
        return refused


if __name__ == "__main__":
    main()
