"""Adapts every checkpoint of the pack to every set of the pack: python -m benchmarks.ranking_quality.truth

Every run is a row of `benchmarks/ranking_quality/truth.csv` once it is done. A run that the table holds is never made
again; a command that was ended, killed even, goes on from there. On a machine with a GPU it trains there. Several
commands may fill one table, each with its part: `--part 1/2` and `--part 2/2`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.discrepancy.pack import pack
from frontrunner.data import DatasetReference, open_dataset
from frontrunner.evidence.ground_truth import RefusedRun, measure_missing, wanted_runs
from frontrunner.evidence.runs import MeasuredRun, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.hub import CheckpointDescription, describe_directory
from frontrunner.ranking.prediction import ADAPTATIONS

TABLE = Path(__file__).with_name("truth.csv")
IMAGE_SETS = (
    "ants_bees",
    "brain_mri4",
    "cifar10",
    "clothing10",
    "dtd10",
    "flowers5",
    "omniglot60",
    "pacs_sketch",
    "pneumonia_xray",
    "rsscn7",
    "signdigits",
    "trashnet",
)
TEXT_SETS = ("ag_news", "banking77", "clinc50", "sst2", "tweet_emotion")


def datasets_of_pack(modality: str) -> dict[str, DatasetReference]:
    """The pack's classification sets of one modality, by name."""
    names, suffix = (IMAGE_SETS, "zip") if modality == "image" else (TEXT_SETS, "parquet")
    paths = {name: pack() / "datasets" / name / f"{name}.{suffix}" for name in names}
    return {
        name: DatasetReference(path=path, name=name, digest=open_dataset(path).digest) for name, path in paths.items()
    }


def checkpoints_of_pack(modality: str) -> dict[str, CheckpointDescription]:
    """The pack's checkpoints of one modality, by id."""
    folders = [folder for folder in sorted((pack() / "hub").iterdir()) if folder.is_dir()]
    described = [describe_directory(folder) for folder in folders]
    return {found.id: found for found in described if found.modality == modality}


def sentence(run: MeasuredRun | RefusedRun) -> str:
    """One line about a run."""
    outcome = f"{run.code}: {run.reason}" if isinstance(run, RefusedRun) else run.status
    if isinstance(run, MeasuredRun) and run.accuracy is not None:
        outcome = f"{run.accuracy:.4f} at rate {run.learning_rate:g}, epoch {run.best_epoch}, {run.seconds:.0f} s"
    adaptation, dataset, checkpoint, seed = run.key
    return f"{dataset} {checkpoint} {adaptation} seed {seed}: {outcome}"


def main() -> None:
    """Reads the arguments and measures what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking_quality.truth", description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--modality", choices=("image", "text"), default="image")
    parser.add_argument("--adaptations", default="full", help=f"of {', '.join(ADAPTATIONS)}, with commas")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--datasets", default="", help="with commas; all by default")
    parser.add_argument("--checkpoints", default="", help="ids with commas; all by default")
    parser.add_argument("--part", default="1/1", help="K/N: every N-th pair, from the K-th")
    for name, field in Protocol.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=field.default)
    arguments = parser.parse_args()
    protocol = Protocol(**{name: getattr(arguments, name) for name in Protocol.model_fields})
    datasets, checkpoints = datasets_of_pack(arguments.modality), checkpoints_of_pack(arguments.modality)
    names = arguments.datasets.split(",") if arguments.datasets else list(datasets)
    if arguments.checkpoints:
        checkpoints = {name: checkpoints[name] for name in arguments.checkpoints.split(",")}
    adaptations = [name for name in ADAPTATIONS if name in arguments.adaptations.split(",")]
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    part, parts = (int(number) for number in arguments.part.split("/"))
    # A pair's seeds stay together, as the first one finds the rate of the others.
    pairs = set(wanted_runs(adaptations, names, checkpoints, seeds[:1])[part - 1 :: parts])
    wanted = [
        key for key in wanted_runs(adaptations, names, checkpoints, seeds) if key._replace(seed=seeds[0]) in pairs
    ]
    folder = Path(tempfile.gettempdir()) / "frontrunner-ground-truth"
    table = Table(arguments.table, MeasuredRun)
    for run in measure_missing(wanted, protocol, table, datasets, checkpoints, folder):
        print(sentence(run), flush=True)


if __name__ == "__main__":
    main()
