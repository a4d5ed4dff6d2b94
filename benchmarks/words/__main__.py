"""Does a ranking of words order encoders as probes on sentences that nobody has seen do?

    python -m benchmarks.words --pack ../shared/pack [--set ag_news] [--examples N] [--write docs/benchmarks.md]

The words of a text set get labels by rules (`relabelled`): numbers, signs, names, and words of time, money and office.
Some can be told by the word alone, names only by their letters, which encoders that lower the case have lost. Ranked
are the encoders at hand, of each the first k layers, the mean over layers, and the mean over a word's tokens.

The truth is scikit-learn's logistic regression on the features of many more words, by its accuracy on other sentences.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, weightedtau
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tuning.table import write_between_marks
from benchmarks.words.relabelled import sentences_of, write_conll
from frontrunner.data import Dataset, Split, open_dataset
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import Catalogue, CheckpointDescription, Folders, HubAccess, Packages, catalogue_of, choose
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings

# Words of the probe that is the truth, to fit it and to measure it.
TRUTH_WORDS = 12_000
SCORES = ("logme", "linear_probe", "knn", "parameters")


class Entry(NamedTuple):
    """One encoder, read in one way.

    Attributes:
        values: by score.
        low: end of LogME's interval.
        truth: accuracy of the probe on other sentences.
    """

    name: str
    values: dict[str, float]
    low: float
    truth: float


def names(pack: Path, access: HubAccess) -> list[str]:
    """Every encoder at hand, read in each way."""
    offered = catalogue_of([Folders(access, [pack / "hub"]), Packages(access)])
    found = [checkpoint for checkpoint in offered.checkpoints if checkpoint.modality == "text"]
    ways = ("layer=mean", "words=mean")
    return [
        name
        for encoder in found
        for name in (
            *(f"{encoder.id}#layer={layer}" for layer in range(1, len(encoder.layer_parameters))),
            encoder.id,
            *(f"{encoder.id}#{way}" for way in ways),
        )
    ]


def truth_of(checkpoint: CheckpointDescription, dataset: Dataset, access: HubAccess) -> float:
    """Accuracy on the words of the test sentences of a probe that is fitted to those of the training sentences."""

    def rows(split: Split) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        part = split.take(np.arange(min(TRUTH_WORDS, len(split))))
        reader = FeatureReader.opening(checkpoint.reading_words(), dataset.inputs, access)
        return reader.read(part.keys).features, np.asarray(part.labels)

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    probe.fit(*rows(dataset.train))
    features, labels = rows(dataset.test)
    return float(probe.score(features, labels))


def measured(pack: Path, name: str, examples: int, home: Path) -> tuple[Dataset, list[Entry], float]:
    """The relabelled set, every encoder on it, best by LogME first, and seconds of the ranking."""
    settings = Settings(home=home, hub=(pack / "hub",))
    access = HubAccess.of(settings)
    sentences = sentences_of(pack / "datasets" / name / f"{name}.parquet", 1500)
    with tempfile.TemporaryDirectory() as folder:
        for split, chosen in (("train", sentences[::2]), ("test", sentences[1::2])):
            write_conll(chosen, Path(folder, f"{split}.conll"))
        dataset = open_dataset(Path(folder), name=f"{name} by words")
        wanted = names(pack, access)
        request = RankingRequest(checkpoints=tuple(wanted), max_examples=examples, scores=("logme",))
        started = time.perf_counter()
        ranking = rank(Path(folder), request=request, settings=settings)
        seconds = time.perf_counter() - started
    offered = catalogue_of([Folders(access, [pack / "hub"]), Packages(access)])
    described = {found.id: found for found in choose(wanted, Catalogue(checkpoints=offered.checkpoints)).checkpoints}
    entries = [
        Entry(
            line.checkpoint,
            {score: line.scores[score].value for score in SCORES[:-1]} | {"parameters": float(line.parameters)},
            line.scores["logme"].low or 0.0,
            truth_of(described[line.checkpoint], dataset, access),
        )
        for line in ranking.ranking
    ]
    return dataset, entries, seconds


def table_of(dataset: Dataset, entries: list[Entry], examples: int, seconds: float) -> str:
    """What was measured, as a page shows it."""
    truth = [entry.truth for entry in entries]
    encoders = len({entry.name.partition("#")[0] for entry in entries})
    labels = f"{dataset.name}: {len(dataset.classes)} labels, {examples:,} words ranked on in {seconds:.0f} s"
    lines = [
        f"{labels}, {len(entries)} ways to read {encoders} encoders",
        "",
        "| encoder | LogME | probe | kNN | probe on other sentences |",
        "|---|---|---|---|---|",
    ]
    for entry in entries:
        reach = entry.values["logme"] - entry.low
        shown = " | ".join(f"{100 * entry.values[score]:.1f}" for score in ("linear_probe", "knn"))
        lines.append(f"| {entry.name} | {entry.values['logme']:.3f} ±{reach:.3f} | {shown} | {100 * entry.truth:.1f} |")
    lines += ["", "| order by | tau_w | Kendall | points lost |", "|---|---|---|---|"]
    for score in SCORES:
        values = [entry.values[score] for entry in entries]
        lost = 100 * (max(truth) - truth[int(np.argmax(values))])
        tau_w, tau = weightedtau(values, truth).statistic, kendalltau(values, truth).statistic
        lines.append(f"| {score} | {tau_w:.2f} | {tau:.2f} | {lost:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--set", default="ag_news", help="A text set of the pack.")
    parser.add_argument("--examples", type=int, default=5000, help="Words that are ranked on.")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "frontrunner-benchmark")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    given = parser.parse_args()
    dataset, entries, seconds = measured(given.pack, given.set, given.examples, given.home)
    text = table_of(dataset, entries, given.examples, seconds)
    print(text)
    if given.write is not None:
        write_between_marks(given.write, text, "words")


if __name__ == "__main__":
    main()
