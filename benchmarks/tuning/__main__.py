"""Compares methods of tuning on the pack: python -m benchmarks.tuning --results FILE [--write docs/tuning.md]

Every cell, a method on a dataset with a seed, is a line of FILE once it is done; a run that was ended, killed even,
goes on from there. The zoo are the pack's four mobilenetv2_100 checkpoints; methods with a student tune the popular
one. The learning rate of a method on a dataset is looked for by the sweep with the first seed and kept for the others.
Run it with OMP_NUM_THREADS=1 where others work too.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.tuning.runs import Protocol, add_cell, read_cells, run_cell
from benchmarks.tuning.table import table, write_between_marks

DATASETS = "dtd10,flowers5,trashnet,signdigits"
METHODS = "finetune,distill,b_tuning,lite_zoo_tuning,hub_pathway,ensemble,zoo_tuning"


def main() -> None:
    """Reads the arguments, runs what is missing, prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="File of finished cells, JSON lines.")
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
    cells = {cell.key: cell for cell in read_cells(arguments.results, protocol)}
    wanted = [
        (dataset, method, seed)
        for seed in seeds
        for method in arguments.methods.split(",")
        for dataset in arguments.datasets.split(",")
    ]
    for dataset, method, seed in () if arguments.only_table else wanted:
        if (dataset, method, seed) in cells:
            continue
        first = cells.get((dataset, method, seeds[0]))
        rate = arguments.rate or (first.learning_rate if first else None)
        cell = run_cell(protocol, dataset, method, seed, rate, folder)
        cells[cell.key] = cell
        add_cell(arguments.results, cell)
        outcome = cell.error or f"{cell.accuracy:.4f} at rate {cell.learning_rate:g}"
        print(f"{dataset} {method} seed {seed}: {outcome}, {cell.seconds:.0f} s", flush=True)
    text = table(list(cells.values()), protocol)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text)


if __name__ == "__main__":
    main()
