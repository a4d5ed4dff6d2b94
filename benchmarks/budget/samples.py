"""Scores of the pack's checkpoints on nested samples: python -m benchmarks.budget.samples [--modality text]

Every checkpoint reads at most 1,024 training images of every image set of the pack, once; or every text encoder at hand
reads texts, with each of its layers, with their mean, and pooled in another way. Then each score is computed
from nested stratified samples of growing size, in several orders of the examples, as the rounds of a race would. What
is read and computed is kept in a folder of temporary files; a command that was ended goes on from there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.discrepancy.pack import pack
from benchmarks.ranking_quality.truth import checkpoints_of_pack, datasets_of_pack
from frontrunner.data import Dataset, open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.hub import Catalogue, CheckpointDescription, Folders, HubAccess, Packages, catalogue_of, choose
from frontrunner.ranking.prediction import PREDICTED_ACCURACY, AccuracyModel
from frontrunner.scores import ScoreValue, ScoringInput, describe, evaluate_input
from frontrunner.settings import Settings
from frontrunner.shard import Shard, fold
from frontrunner.store import open_store

FOLDER = Path(tempfile.gettempdir()) / "frontrunner-budget"
# Of a race's rounds. The largest one, or the whole training split, is what a full ranking reads.
SIZES = (16, 32, 64, 128, 192, 256, 320, 512, 1024)
SCORES = ("logme", "ridge_probe", "linear_probe", "knn")


class Samples:
    """The kept scores of one dataset: by score, seed, checkpoint and size."""

    def __init__(self, dataset: str, folder: Path = FOLDER) -> None:
        self._path = folder / "scores" / f"{dataset}.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.found: dict[tuple[str, int, str, int], ScoreValue] = {}
        self.latency_ms: dict[str, float] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            row = json.loads(line)
            if "latency_ms" in row:
                self.latency_ms[row["checkpoint"]] = row["latency_ms"]
            else:
                key = (row["score"], row["seed"], row["checkpoint"], row["examples"])
                self.found[key] = ScoreValue.model_validate(row["value"])

    @property
    def sizes(self) -> list[int]:
        """Of the samples, ascending."""
        return sorted({size for *_, size in self.found})

    def seeds(self, score: str, checkpoints: Sequence[str]) -> list[int]:
        """The orders in which every one of these checkpoints has read everything."""
        if not self.found:
            return []
        whole = self.sizes[-1]
        seeds = sorted({seed for name, seed, _, _ in self.found if name == score})
        return [seed for seed in seeds if all((score, seed, name, whole) in self.found for name in checkpoints)]

    def nearest(self, score: str, seed: int, checkpoint: str, examples: int) -> ScoreValue:
        """The score of so many examples, or of the next smaller sample that was kept; of the smallest where none is."""
        sizes = [size for size in self.sizes if (score, seed, checkpoint, size) in self.found]
        return self.found[score, seed, checkpoint, max([size for size in sizes if size <= examples], default=sizes[0])]

    def predict(self, model: AccuracyModel, facts: Mapping[str, Mapping[str, float]]) -> None:
        """Add the accuracy that a model predicts wherever the scores are kept that it needs.

        Args:
            model: whose columns are scores and facts.
            facts: of each checkpoint.
        """
        for name, seed, checkpoint, size in list(self.found):
            keys = [(needed, seed, checkpoint, size) for needed in model.scores]
            if name == model.scores[0] and all(key in self.found for key in keys):
                scores = {key[0]: self.found[key] for key in keys}
                found = model.score(scores, facts[checkpoint])
                self.found[PREDICTED_ACCURACY, seed, checkpoint, size] = found

    def add(self, **row: object) -> None:
        """Keep one row."""
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def candidates_of(modality: str) -> tuple[CheckpointDescription, ...]:
    """Who races: the pack's image checkpoints; of texts the variants of its encoder and of those that are installed."""
    if modality == "image":
        return tuple(checkpoints_of_pack("image").values())
    access = HubAccess.of(Settings())
    offered = catalogue_of([Folders(access, [pack() / "hub"]), Packages(access)])
    encoders = tuple(found for found in offered.checkpoints if found.modality == "text")
    names = [
        name
        for found in encoders
        for name in (
            *(f"{found.id}#layer={layer}" for layer in range(1, len(found.layer_parameters))),
            found.id,
            f"{found.id}#layer=mean",
            f"{found.id}#pooling=cls",
        )
    ]
    return choose(names, Catalogue(checkpoints=encoders)).checkpoints


def sizes_of(whole: int) -> list[int]:
    """The sizes of nested samples of a split, the last one of all that a full ranking reads."""
    return [*(size for size in SIZES if size < whole), whole]


def read(
    checkpoint: CheckpointDescription, dataset: Dataset, examples: int, folder: Path
) -> tuple[NDArray[np.float32], float | None]:
    """(n, D) features of what a full ranking reads, in its order, and an example's milliseconds if any was read."""
    store = open_store(Settings(home=folder))
    shards = FeatureShards(checkpoint, dataset, stratified_order(dataset.train, 0), examples, store)
    features = np.concatenate([np.asarray(shard.features) for shard in shards])
    return features, None if shards.cost is None else shards.cost.latency_ms


def score(
    names: tuple[str, ...], features: NDArray[np.float32], labels: NDArray[np.str_]
) -> Iterator[tuple[str, ScoreValue]]:
    """Each score of some examples, with its replicates."""
    shard = Shard(features=features, labels=labels, targets=None, source_probabilities=None)
    data = ScoringInput(fold([shard]), [shard])
    for name in names:
        yield from evaluate_input([describe(name)], data).items()


def main() -> None:
    """Reads, scores and keeps what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.samples", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--modality", choices=("image", "text"), default="image")
    parser.add_argument("--examples", type=int, default=SIZES[-1], help="that a full ranking reads, at most")
    parser.add_argument("--datasets", default="", help="with commas; all by default")
    parser.add_argument("--scores", default=",".join(SCORES))
    parser.add_argument("--seeds", default="0,1", help="of the order of the examples, with commas")
    arguments = parser.parse_args()
    names = tuple(arguments.scores.split(","))
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    checkpoints, datasets = candidates_of(arguments.modality), datasets_of_pack(arguments.modality)
    for name in arguments.datasets.split(",") if arguments.datasets else datasets:
        reference = datasets[name]
        dataset, samples = open_dataset(reference.path), Samples(name, arguments.folder)
        for checkpoint in checkpoints:
            features, latency = read(checkpoint, dataset, arguments.examples, arguments.folder)
            if latency is not None:
                samples.add(checkpoint=checkpoint.id, latency_ms=latency)
            whole = dataset.train.take(stratified_order(dataset.train, 0)[: len(features)])
            assert whole.labels is not None
            for seed in seeds:
                order = stratified_order(whole, seed)
                for size in sizes_of(len(order)):
                    rows = order[:size]
                    missing = tuple(s for s in names if (s, seed, checkpoint.id, size) not in samples.found)
                    for found, value in score(missing, features[rows], whole.labels[rows]):
                        kept = {"value": value.value, "replicates": [float(f"{r:.9g}") for r in value.replicates]}
                        samples.add(score=found, seed=seed, checkpoint=checkpoint.id, examples=size, value=kept)
        print(name, flush=True)


if __name__ == "__main__":
    main()
