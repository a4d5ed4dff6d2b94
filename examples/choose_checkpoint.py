"""Choose a checkpoint in a pipeline: the smallest one that gives up little.

    python examples/choose_checkpoint.py flowers.zip --hub checkpoints/

Prints one JSON object; ends with status 1 where no checkpoint beats guessing, so that a pipeline stops before it
pays for a fine-tuning that cannot work.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import frontrunner
from frontrunner.data import open_dataset
from frontrunner.ranking import RankedCheckpoint, Ranking, RankingRequest


def points_behind(first: RankedCheckpoint, line: RankedCheckpoint) -> float:
    """Points of a hundred by which a line stays behind: as predicted, else those of the linear probe."""
    if line.behind is not None:
        return 100 * line.behind.accuracy
    probe = next((name for name in ("linear_probe", "ridge_probe") if name in first.scores), None)
    if line is first or probe is None or probe not in line.scores:
        return 0.0 if line is first else float("inf")
    return 100 * (first.scores[probe].value - line.scores[probe].value)


def smallest_within(ranking: Ranking, points: float) -> RankedCheckpoint:
    """The one with the fewest parameters of those that give up at most so many points."""
    first = ranking.ranking[0]
    candidates = [line for line in ranking.ranking if points_behind(first, line) <= points]
    return min(candidates, key=lambda line: line.parameters)


def beats_guessing(line: RankedCheckpoint, dataset: Path) -> bool:
    """Whether its nearest neighbours do better than always naming the largest class."""
    train = open_dataset(dataset).train
    if train.labels is None:
        return line.scores["knn"].value > 0.0
    counts = [int((train.labels == label).sum()) for label in set(train.labels.tolist())]
    low = line.scores["knn"].low
    return low is not None and low > max(counts) / len(train)


def main() -> int:
    """Reads the arguments, prints the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--max-examples", type=int, default=2000)
    parser.add_argument("--points", type=float, default=1.0, help="What a smaller one may give up.")
    arguments = parser.parse_args()
    request = RankingRequest(max_examples=arguments.max_examples)
    ranking = frontrunner.rank(arguments.dataset, hub=arguments.hub, request=request)
    chosen = smallest_within(ranking, arguments.points)
    useful = beats_guessing(chosen, arguments.dataset)
    answer = {
        "checkpoint": chosen.checkpoint,
        "rank": chosen.rank,
        "parameters": chosen.parameters,
        "points_behind_the_first": round(points_behind(ranking.ranking[0], chosen), 1),
        "logme": chosen.scores["logme"].value,
        "knn": chosen.scores["knn"].value,
        "beats_guessing": useful,
        "why": ranking.summary,
    }
    json.dump(answer, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if useful else 1


if __name__ == "__main__":
    sys.exit(main())
