"""Writes the facts about timm's checkpoints that the package ships: python -m benchmarks.facts FOLDER

FOLDER holds the result tables of pytorch-image-models: `results-*.csv` and `benchmark-infer-*.csv`. A line of the file
is a checkpoint at one image size. Speeds are of the architecture at that size, and are missing where it was not
measured. The same tables give the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

from frontrunner.evidence.facts import COLUMNS, FILE, SOURCE

_ACCURACY = {
    "imagenet": "results-imagenet.csv",
    "imagenet_real": "results-imagenet-real.csv",
    "imagenet_v2": "results-imagenetv2-matched-frequency.csv",
    "imagenet_a": "results-imagenet-a.csv",
    "imagenet_r": "results-imagenet-r.csv",
    "sketch": "results-sketch.csv",
}
_SPEED = {
    "gpu_images_per_s": "benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv",
    "cpu_images_per_s": "benchmark-infer-fp32-nchw-pt240-cpu-i9_10940x-dynamo.csv",
}


def lines(path: Path) -> list[dict[str, str]]:
    """The lines of a table by their columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(folder: Path) -> list[list[str]]:
    """The lines of the file, by name and image size."""
    accuracy = {
        name: {(line["model"], int(line["img_size"])): line["top1"] for line in lines(folder / file)}
        for name, file in _ACCURACY.items()
    }
    speed = {
        name: {
            (line["model"], int(line["infer_img_size"])): line["infer_samples_per_sec"] for line in lines(folder / file)
        }
        for name, file in _SPEED.items()
    }
    gmacs: dict[tuple[str, int], str] = {}
    for file in _SPEED.values():
        for line in lines(folder / file):
            gmacs.setdefault((line["model"], int(line["infer_img_size"])), line["infer_gmacs"])
    found = []
    for line in lines(folder / _ACCURACY["imagenet"]):
        name, size = line["model"], int(line["img_size"])
        top1 = [accuracy[column].get((name, size), "") for column in _ACCURACY]
        fast = [speed[column].get((name.split(".")[0], size), "") for column in _SPEED]
        found.append(
            [
                name,
                str(size),
                line["param_count"].replace(",", ""),
                *top1,
                *fast,
                gmacs.get((name.split(".")[0], size), ""),
            ]
        )
    return sorted(found, key=lambda entry: (entry[0], int(entry[1])))


def main() -> None:
    """Write the file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = io.StringIO()
    text.write(f"# {SOURCE}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = table(Path(sys.argv[1]))
    writer.writerows(rows)
    FILE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    print(f"{len(rows):,} lines, {FILE.stat().st_size:,} bytes: {FILE}")


if __name__ == "__main__":
    main()
