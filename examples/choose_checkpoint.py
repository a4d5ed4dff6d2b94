"""Choose a checkpoint in a pipeline: the smallest one that the data cannot tell apart from the best.

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


def smallest_of_the_best(ranking: Ranking) -> RankedCheckpoint:
    """The one with the fewest parameters among the first and those tied with it."""
    candidates = [line for line in ranking.ranking if line.rank == 1 or line.tied_with_best]
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
    arguments = parser.parse_args()
    request = RankingRequest(max_examples=arguments.max_examples)
    ranking = frontrunner.rank(arguments.dataset, hub=arguments.hub, request=request)
    chosen = smallest_of_the_best(ranking)
    useful = beats_guessing(chosen, arguments.dataset)
    answer = {
        "checkpoint": chosen.checkpoint,
        "rank": chosen.rank,
        "parameters": chosen.parameters,
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
