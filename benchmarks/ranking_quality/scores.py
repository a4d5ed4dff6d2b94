"""Every score of every checkpoint of the pack on every set: python -m benchmarks.ranking_quality.scores

A ranking as a user asks for it, of at most 400 training images, each checkpoint at its own input size. Rows go into
`benchmarks/ranking_quality/scores.csv`, a dataset at a time; one that the table holds is not ranked again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.discrepancy.pack import pack
from benchmarks.ranking_quality.truth import datasets_of_pack
from frontrunner.evidence.measuring import rank_with_every_score
from frontrunner.evidence.runs import MeasuredScore
from frontrunner.evidence.tables import Table
from frontrunner.settings import Settings

TABLE = Path(__file__).with_name("scores.csv")


def main() -> None:
    """Reads the arguments and ranks what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality.scores", description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--modality", choices=("image", "text"), default="image")
    parser.add_argument("--datasets", default="", help="with commas; all by default")
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--seeds", default="0", help="of the sample, with commas")
    arguments = parser.parse_args()
    table = Table(arguments.table, MeasuredScore)
    settings = Settings(home=Path(tempfile.gettempdir()) / "frontrunner-ranking-quality", hub_mode="offline")
    for seed in map(int, arguments.seeds.split(",")):
        known = {row.dataset for row in table if (row.examples, row.sample) == (arguments.examples, seed)}
        for name, dataset in datasets_of_pack(arguments.modality).items():
            if name in known or (arguments.datasets and name not in arguments.datasets.split(",")):
                continue
            rows = rank_with_every_score(
                dataset.path, pack() / "hub", examples=arguments.examples, seed=seed, settings=settings
            )
            table.add(*(row.model_copy(update={"dataset": name}) for row in rows))
            print(f"{name}: {len(rows)} values, seed {seed}", flush=True)


if __name__ == "__main__":
    main()
