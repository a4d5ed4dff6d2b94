"""Images a second: the reader against a plain loop of batches of 32.

    python -m benchmarks.extraction.image_speed --pack ../shared/pack [--rounds 3] [--images 256]

Both decode and prepare the same images by the checkpoint's own pipeline; the plain loop does one thing after the
other and leaves the model as it was opened. In turn in one process; medians of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from frontrunner.data import open_dataset
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint

CHECKPOINTS = ("efficientnet_lite0.in1k", "mobilenetv2_100.tf2_in1k_q8", "mobilenetv1_025_224.keras_in1k")
BATCH = 32


def main() -> None:
    """Print seconds and rates of both ways for each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=256)
    given = parser.parse_args()
    dataset = open_dataset(given.pack / "datasets" / "flowers5" / "flowers5.zip")
    keys = dataset.train.keys[: given.images]
    print(f"{len(keys)} images of flowers5, {torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    print(f"{'checkpoint':34} {'reader s':>9} {'loop s':>9} {'images/s':>9} {'ratio':>6} {'difference':>10}")
    for name in CHECKPOINTS:
        described = describe_directory(given.pack / "hub" / name)
        reader = FeatureReader(open_checkpoint(described), dataset.inputs)
        plain = open_checkpoint(described)

        def loop(plain=plain) -> np.ndarray:
            rows = []
            for start in range(0, len(keys), BATCH):
                images = [plain.preparation.prepare(dataset.inputs.decode(key)) for key in keys[start : start + BATCH]]
                rows.append(plain.read(torch.stack(images)).features.numpy())
            return np.concatenate(rows)

        seconds: dict[str, list[float]] = {"reader": [], "loop": []}
        results = {}
        reader.read(keys[:16])
        for _ in range(given.rounds):
            for way, run in (("reader", lambda reader=reader: reader.read(keys).features), ("loop", loop)):
                started = time.perf_counter()
                results[way] = run()
                seconds[way].append(time.perf_counter() - started)
        ours, theirs = (statistics.median(seconds[way]) for way in ("reader", "loop"))
        difference = np.abs(results["reader"] - results["loop"]).max() / np.abs(results["loop"]).max()
        print(f"{name:34} {ours:9.2f} {theirs:9.2f} {len(keys) / ours:9.1f} {theirs / ours:6.2f} {difference:10.1e}")


if __name__ == "__main__":
    main()
