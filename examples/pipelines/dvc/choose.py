"""The smallest checkpoint of a ranking that gives up little, as a metrics file for DVC."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from frontrunner import Ranking


def main() -> None:
    """Reads `ranking.json`, prints the choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ranking", type=Path)
    parser.add_argument("--points", type=float, default=1.0, help="Points of a hundred that it may give up.")
    arguments = parser.parse_args()
    ranking = Ranking.model_validate_json(arguments.ranking.read_text())
    first = ranking.ranking[0].scores["knn"].value
    near = [line for line in ranking.ranking if 100 * (first - line.scores["knn"].value) <= arguments.points]
    chosen = min(near, key=lambda line: line.parameters)
    scores = {name: score.value for name, score in chosen.scores.items()}
    json.dump({"checkpoint": chosen.checkpoint, "rank": chosen.rank, "candidates": len(near)} | scores, sys.stdout)


if __name__ == "__main__":
    main()
