"""Prints three tables: LogME against the published algorithm, float32 products, and every score's time.

    python -m benchmarks.scores [--runs 3] [--shapes 5000x512x10,5000x2048x100,50000x2048x10]

Times are medians over runs in one process, the two sides in turn, ± half the range over the median. Processor time
stands beside elapsed time: on a machine that does other work, with one BLAS thread (OPENBLAS_NUM_THREADS=1), it is
the figure to read; with more threads their waiting counts as work. Memory is the growth of a fresh process's peak
resident size while it scores, features already in memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy.linalg.blas import ssyrk

import frontrunner
from benchmarks.scores.data import made_features, made_shards
from benchmarks.scores.straightforward import straightforward_logme
from frontrunner import FeatureStatistics, scores

SHAPES = "5000x512x10,5000x2048x100,50000x2048x10"
# A checkpoint of 1,280 features on 2,000 images: extraction takes 20 to 40 s on two cores.
SCORED_SHAPE = (2000, 1280, 10)
SIDES: dict[str, Callable[..., float]] = {"frontrunner": frontrunner.logme, "straightforward": straightforward_logme}


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Elapsed and processor seconds that `action` takes."""
    start, started = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - started


def median(times: list[tuple[float, float]], clock: int) -> float:
    """The median of elapsed (0) or processor (1) seconds."""
    return statistics.median(pair[clock] for pair in times)


def spread(times: list[tuple[float, float]]) -> str:
    """Median elapsed time with half its range, and median processor time, for a table."""
    elapsed = [pair[0] for pair in times]
    middle = median(times, 0)
    return f"{middle:7.3f} s ±{(max(elapsed) - min(elapsed)) / middle / 2:4.0%} (cpu {median(times, 1):7.3f})"


def peak_growth_mib(side: str, shape: str) -> float:
    """MiB by which a fresh process grows while `side` scores `shape`."""
    command = [sys.executable, "-m", "benchmarks.scores", "--memory-of", side, "--shapes", shape]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory_of(side: str, shape: str) -> None:
    """The child's part of `peak_growth_mib`."""
    n, dimension, classes = (int(part) for part in shape.split("x"))
    SIDES[side](*made_features(64, 16, 2))
    features, labels = made_features(n, dimension, classes)
    # 5 sets the peak back to the present size.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    SIDES[side](features, labels)
    print(peak_mib() - before)


def peak_mib() -> float:
    """The highest resident size of this process so far, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def compare(shapes: str, runs: int) -> None:
    """LogME against the published algorithm."""
    print(f"{'LogME, n x D x C':17s} {'frontrunner':30s}  {'straightforward':30s}   faster (cpu)     extra memory")
    for shape in shapes.split(","):
        n, dimension, classes = (int(part) for part in shape.split("x"))
        features, labels = made_features(n, dimension, classes)
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        small = features[: 2 * dimension], labels[: 2 * dimension]
        values = {side: score(*small) for side, score in SIDES.items()}
        for _ in range(runs):
            for side, score in SIDES.items():
                times[side].append(timed(partial(score, features, labels)))
        del features, labels, small
        memory = {side: peak_growth_mib(side, shape) for side in SIDES}
        elapsed, processor = (
            median(times["straightforward"], clock) / median(times["frontrunner"], clock) for clock in (0, 1)
        )
        print(
            f"{shape:17s} {spread(times['frontrunner'])}  {spread(times['straightforward'])}"
            f"   {elapsed:5.1f}x ({processor:4.1f}x)"
            f"   {memory['frontrunner']:.0f} of {memory['straightforward']:.0f} MiB"
            f"   (2 D rows: {values['frontrunner']:.6f} and {values['straightforward']:.6f})",
            flush=True,
        )


def compare_products(runs: int) -> None:
    """float32 products against the float64 ones that are used."""
    features, labels = made_features(5000, 2048, 10)
    exact = FeatureStatistics().update(features, labels)
    short = exact.copy()
    gram = np.zeros_like(short.shifted_gram_lower)
    shifted = (features - exact.shift).astype(np.float32)
    for start in range(0, 5000, 1000):
        gram += ssyrk(1.0, np.ascontiguousarray(shifted[start : start + 1000]).T, lower=1)
    short._shifted_gram = np.asfortranarray(gram)
    error = abs(scores.logme_from_statistics(short).score / scores.logme_from_statistics(exact).score - 1)
    single = [timed(lambda: ssyrk(1.0, features.T, lower=1)) for _ in range(runs)]
    double = [timed(lambda: FeatureStatistics().update(features, labels)) for _ in range(runs)]
    print(
        "\nfloat32 products, 5000 x 2048: all statistics in float64",
        spread(double),
        "| float32 F'F alone",
        spread(single),
    )
    print(f"relative error that float32 products (blocks of 1,000 rows, float64 sums) leave in LogME: {error:.1e}")


def time_every_score(runs: int) -> None:
    """Each score of one checkpoint, with and without its interval."""
    n, dimension, classes = SCORED_SHAPE
    shards = made_shards(n, dimension, classes)

    def fold() -> FeatureStatistics:
        whole = FeatureStatistics()
        for shard in shards:
            whole.update(shard.features, shard.labels)
        return whole

    whole = fold()
    print(f"\n{n} examples, {dimension} features, {classes} classes   median, spread   (from statistics already made)")
    print(f"{'the statistics':22s} {spread([timed(fold) for _ in range(runs)])}")
    for name in scores.names():
        scores.evaluate([name], whole, shards)
        taken = [timed(partial(scores.evaluate, [name], whole, shards)) for _ in range(runs)]
        value = scores.evaluate([name], whole, shards)[name]
        print(f"{name:22s} {spread(taken)}   {value.value:10.4f} [{value.low:.4f}, {value.high:.4f}]")


def main() -> None:
    """Reads the arguments and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--memory-of", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory_of(arguments.memory_of, arguments.shapes)
        return
    compare(arguments.shapes, arguments.runs)
    compare_products(arguments.runs)
    time_every_score(arguments.runs)


if __name__ == "__main__":
    main()
