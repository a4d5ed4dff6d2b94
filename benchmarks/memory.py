"""Peak memory of scoring as the number of examples grows: `python -m benchmarks.memory`.

Each size runs in a process of its own: blocks of synthetic features are folded into `FeatureStatistics` as they are
made, then LogME is computed. Prints the peak resident memory before the first block and at the end.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

SIZES = (2_000, 20_000, 200_000)
DIMENSION, CLASSES, BLOCK = 1280, 10, 256


def measure(examples: int) -> None:
    """One size, in this process."""
    import numpy as np

    from frontrunner.scores.logme import logme_from_statistics
    from frontrunner.statistics import FeatureStatistics

    generator = np.random.default_rng(0)
    centres = generator.normal(size=(CLASSES, DIMENSION)).astype(np.float32)
    statistics = FeatureStatistics()
    before = _peak_mib()
    started = time.perf_counter()
    for start in range(0, examples, BLOCK):
        labels = generator.integers(0, CLASSES, size=min(BLOCK, examples - start))
        features = centres[labels] + generator.normal(size=(labels.size, DIMENSION)).astype(np.float32)
        statistics.update(features, labels)
    score = logme_from_statistics(statistics).score
    seconds = time.perf_counter() - started
    print(f"{examples:>9,} {before:>12.0f} {_peak_mib():>12.0f} {seconds:>9.1f} {score:>10.4f}", flush=True)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Every size, each in a fresh process."""
    print(f"{'examples':>9} {'before, MiB':>12} {'peak, MiB':>12} {'seconds':>9} {'LogME':>10}", flush=True)
    for examples in SIZES:
        subprocess.run([sys.executable, "-m", "benchmarks.memory", str(examples)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        main()
