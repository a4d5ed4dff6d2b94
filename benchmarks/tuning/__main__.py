"""Compares methods of tuning on the pack: python -m benchmarks.tuning --results FILE [--write docs/tuning.md]

Every run, a method on a dataset with a seed, is a line of FILE once it is done; a comparison that was ended, killed
even, goes on from there. The zoo are the pack's four mobilenetv2_100 checkpoints; methods with a student tune the
popular one. The learning rate of a method on a dataset is looked for by the sweep with the first seed and kept for the
others. Run it with OMP_NUM_THREADS=1 where others work too.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.tuning.runs import Protocol, RunKey, add_run, pack_zoo, read_runs, tune_once
from benchmarks.tuning.table import table, write_between_marks

DATASETS = "dtd10,flowers5,trashnet,signdigits"
METHODS = "finetune,distill,b_tuning,lite_zoo_tuning,hub_pathway,ensemble,zoo_tuning"


def main() -> None:
    """Reads the arguments, runs what is missing, prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="File of finished runs, JSON lines.")
    parser.add_argument("--datasets", default=DATASETS)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rate", type=float, help="One learning rate for all, instead of the sweep.")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    parser.add_argument("--only-table", action="store_true", help="Run nothing.")
    arguments = parser.parse_args()
    protocol = Protocol(epochs=arguments.epochs, images=arguments.images, size=arguments.size)
    folder = Path(tempfile.gettempdir()) / "frontrunner-tuning-benchmark"
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    runs = {run.key: run for run in read_runs(arguments.results, protocol)}
    wanted = [
        RunKey(dataset, method, seed)
        for seed in seeds
        for method in arguments.methods.split(",")
        for dataset in arguments.datasets.split(",")
    ]
    zoo = pack_zoo()
    for key in () if arguments.only_table else wanted:
        if key in runs:
            continue
        first = runs.get(key._replace(seed=seeds[0]))
        rate = arguments.rate or (first.learning_rate if first else None)
        run = tune_once(protocol, key, rate, folder, zoo)
        runs[key] = run
        add_run(arguments.results, run)
        outcome = run.error or f"{run.accuracy:.4f} at rate {run.learning_rate:g}"
        print(f"{key.dataset} {key.method} seed {key.seed}: {outcome}, {run.seconds:.0f} s", flush=True)
    text = table(list(runs.values()), protocol)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text)


if __name__ == "__main__":
    main()
