"""Does LogME order the text encoders as a cross-validated linear probe on the same features does?

    python -m benchmarks.extraction.text_ranking --pack ../shared/pack [--max-examples N] [--sets NAME ...]

The encoders are the pack's, all-MiniLM-L6-v2, and of both every variant that reads the first k layers alone. Features
are read once and cached below --home.

The probe is the project's baseline `linear_probe`. Encoders tie where the probability that the better one is better,
from replicates over the same examples, is below 0.95.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scipy.stats import kendalltau

from frontrunner import scores
from frontrunner.data import open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.hub import Catalogue, CheckpointDescription, Folders, HubAccess, Packages, catalogue_of, choose
from frontrunner.settings import Settings
from frontrunner.shard import fold
from frontrunner.store import FolderStore

# A difference that this share of replicates agrees on is one.
SURE = 0.95
SETS = ("ag_news", "banking77", "clinc50", "sst2", "tweet_emotion")


class Scored(NamedTuple):
    """One encoder on one set."""

    logme: scores.ScoreValue
    probe: scores.ScoreValue


def encoders(pack: Path, access: HubAccess) -> tuple[CheckpointDescription, ...]:
    """Every text encoder at hand and its variants of fewer layers."""
    offered = catalogue_of([Folders(access, [pack / "hub"]), Packages(access)])
    found = [checkpoint for checkpoint in offered.checkpoints if checkpoint.modality == "text"]
    names = [
        name
        for encoder in found
        for name in (*(f"{encoder.id}#layer={k}" for k in range(1, len(encoder.layer_parameters))), encoder.id)
    ]
    return choose(names, Catalogue(checkpoints=tuple(found))).checkpoints


def main() -> None:
    """Print a table for each set, and how often LogME's first is the probe's best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--max-examples", type=int, default=5000)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "frontrunner-benchmark")
    given = parser.parse_args()
    access = HubAccess.of(Settings(home=given.home))
    candidates = encoders(given.pack, access)
    best = ties = 0
    for name in given.sets:
        dataset = open_dataset(given.pack / "datasets" / name / f"{name}.parquet")
        order = stratified_order(dataset.train, 0)
        found: dict[str, Scored] = {}
        for checkpoint in candidates:
            shards = FeatureShards(
                checkpoint, dataset, order, given.max_examples, FolderStore(given.home), access=access
            )
            values = scores.evaluate(("logme", "linear_probe"), fold(shards), shards)
            found[checkpoint.id] = Scored(values["logme"], values["linear_probe"])
        ranked = sorted(found.items(), key=lambda item: -item[1].logme.value)
        _print_set(f"{name}: {len(dataset.classes)} classes", ranked)
        first, leader = ranked[0][1].probe, _best_by_probe(ranked).probe
        best += first.value == leader.value
        ties += _ties(leader, first)
    print(f"\nLogME's first, of {len(given.sets)} sets: the probe's best on {best}, the best or tied with it on {ties}")


def _ties(best: scores.ScoreValue, other: scores.ScoreValue) -> bool:
    probability = scores.probability_first_beats_second(best, other)
    return best.value == other.value or (probability is not None and probability < SURE)


def _best_by_probe(ranked: Sequence[tuple[str, Scored]]) -> Scored:
    return max((scored for _, scored in ranked), key=lambda scored: scored.probe.value)


def _print_set(title: str, ranked: Sequence[tuple[str, Scored]]) -> None:
    leader = _best_by_probe(ranked).probe
    print(f"\n{title}; * the best, ~ tied with it")
    print(f"{'encoder':50} {'LogME':>9} {'probe':>8}")
    for entry, (logme, probe) in ranked:
        mark = "*" if probe.value == leader.value else "~" if _ties(leader, probe) else " "
        print(f"{entry:50} {logme.value:9.4f} {probe.value:8.4f}{mark}")
    pairs = [(scored.logme.value, scored.probe.value) for _, scored in ranked]
    tau = kendalltau(*zip(*pairs, strict=True)).statistic
    print(f"Kendall tau {tau:.2f}; LogME's first is {leader.value - pairs[0][1]:.4f} below the best", flush=True)


if __name__ == "__main__":
    main()
