"""What scoring adds to the forward passes of a step: `python -m benchmarks.scores.share DATASET CHECKPOINT_FOLDER`.

Reads the features of one checkpoint with an empty cache, then folds and scores them as a ranking does, several times
over, and prints the share of the whole that is not forward passes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from frontrunner import scores
from frontrunner.data import DatasetOptions, open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.hub import describe_directory
from frontrunner.statistics import FeatureStatistics
from frontrunner.store import FolderStore


def main() -> None:
    """Reads the arguments and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores.share", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--score", action="append", help="a score, again for more; LogME by default")
    parser.add_argument("--max-examples", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    names = arguments.score or ["logme"]
    dataset = open_dataset(arguments.dataset, DatasetOptions())
    description = describe_directory(arguments.checkpoint)
    with tempfile.TemporaryDirectory() as cache:
        order = stratified_order(dataset.train, 0)
        shards = FeatureShards(description, dataset, order, arguments.max_examples, FolderStore(Path(cache)))
        started = time.perf_counter()
        for _shard in shards:
            pass
        reading = time.perf_counter() - started
        taken = []
        for _ in range(arguments.runs):
            started = time.perf_counter()
            whole = FeatureStatistics()
            for shard in shards:
                whole.update(shard.features, shard.labels, shard.targets)
            scores.evaluate(names, whole, shards)
            taken.append(time.perf_counter() - started)
    scoring = statistics.median(taken)
    print(
        f"{description.id} on {shards.examples} examples of {dataset.name}, {whole.dimension} features: "
        f"reading {reading:.2f} s; statistics and {', '.join(names)} with intervals {scoring:.3f} s "
        f"(median of {arguments.runs}, {min(taken):.3f} to {max(taken):.3f}): {scoring / reading:.2%} of reading"
    )


if __name__ == "__main__":
    main()
