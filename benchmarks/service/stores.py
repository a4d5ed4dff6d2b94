"""What checksums and a remote store cost: `python -m benchmarks.service.stores`.

The first table reads one shard again and again, in turns: mapped and summed as it lies, and with its checksum compared
first; processor time of one thread. The second does one job on a folder and on an S3 of this machine, in turns: an
upload of features, a step for each set, each shard written and read. Every turn is another upload: nothing is cached.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.service.fleet import Fleet, fleet, write_features
from benchmarks.service.servers import s3_server
from benchmarks.service.setting import state_of_the_machine
from frontrunner.store import FolderStore, read_array, write_array

READS = 400
WIDTHS = (512, 2048)
ROWS = 256


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="jobs on each store")
    parser.add_argument("--sets", type=int, default=20, help="feature sets of a job")
    parser.add_argument("--examples", type=int, default=1536, help="rows of each")
    given = parser.parse_args()
    print(state_of_the_machine())
    for width in WIDTHS:
        plain, checked = shard_reads(width)
        print(
            f"shard {ROWS} x {width}, mapped and summed: {plain}; checked first: {checked} (ms, median and quartiles)"
        )
    jobs(given.turns, given.sets, given.examples)


def shard_reads(width: int) -> tuple[str, str]:
    """Milliseconds of processor time a reading, without and with the checksum."""
    with tempfile.TemporaryDirectory() as folder:
        store, matrix = FolderStore(Path(folder)), np.ones((ROWS, width), dtype=np.float32)
        write_array(store, "checked.npy", matrix)
        np.save(Path(folder) / "plain.npy", matrix)

        def plain() -> None:
            np.load(Path(folder) / "plain.npy", mmap_mode="r", allow_pickle=False).sum()

        def checked() -> None:
            found = read_array(store, "checked.npy")
            assert found is not None
            found.sum()

        times = [(_seconds(plain), _seconds(checked)) for _ in range(READS)]
    first, second = (quartiles([1000 * turn[side] for turn in times], 3) for side in (0, 1))
    return first, second


def jobs(turns: int, sets: int, examples: int) -> None:
    """Seconds from the upload to the job's end, on both stores."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "s3").mkdir()
        s3 = stack.enter_context(s3_server(folder / "s3"))
        services: dict[str, Fleet] = {}
        for name, settings in (("folder", {}), ("S3 on loopback", {"store_url": f"{s3.new_bucket('bench')}/x"})):
            running = stack.enter_context(fleet(None, None, folder / name.split()[0] / "home", **settings))
            running.environment |= s3.environment
            running.start_api()
            running.start_worker()
            services[name] = running
        taken: dict[str, list[float]] = {name: [] for name in services}
        for turn in range(turns + 1):  # the first one starts runners
            path = write_features(folder / f"{turn}.npz", sets, examples, columns=512, seed=turn)
            for name, running in services.items():
                began = time.perf_counter()
                running.wait(running.rank(running.upload(path), baselines=False), timeout_s=600)
                taken[name].append(time.perf_counter() - began)
        size = sets * examples * 512 * 4 / 1e6
        print(f"a job of {sets} steps, {size:.0f} MB of features written and read (s, median and quartiles)")
        for name, seconds in taken.items():
            print(f"  {name:15} {quartiles(seconds[1:], 2)}")


def quartiles(values: list[float], digits: int) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
