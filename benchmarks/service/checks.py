"""Checks of valid tables in a row, and how many were refused: `python -m benchmarks.service.checks [COUNT] [AT ONCE]`.

Once, one in a hundred was: the process of a check aborted while its interpreter was taken down, before its answer had
left. None may be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frontrunner.data import DatasetOptions
from frontrunner.data.isolation import check_isolated
from frontrunner.errors import FrontrunnerError

ROWS = 60


def main() -> None:
    """Print how many were refused."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    at_once = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        refused = check_many(Path(folder), count, at_once)
        seconds = time.perf_counter() - began
    print(f"{refused} of {count:,} valid tables refused, {seconds / count:.2f} s each, {at_once} at once")


def check_many(folder: Path, count: int, at_once: int) -> int:
    """Check one valid CSV `count` times; how many checks refused it."""
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
        return sum(pool.map(is_refused, range(count)))


if __name__ == "__main__":
    main()
