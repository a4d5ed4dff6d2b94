"""Builders of tiny folders, shared by the tests of layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frontrunner.data import Dataset, DatasetOptions, open_dataset
from tests.conftest import encode

SHADES = [encode(np.full((4, 4, 3), shade)) for shade in range(0, 240, 20)]


def images(*folders: str, each: int = 2) -> dict[str, bytes]:
    names = [f"{folder}/{i}.png" for folder in folders for i in range(each)]
    return {name: SHADES[i % len(SHADES)] for i, name in enumerate(names)}


def unpack(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def opened(root: Path, files: dict[str, bytes | str], **options: str) -> Dataset:
    return open_dataset(unpack(root, files), DatasetOptions.model_validate(options))


def sizes(dataset: Dataset) -> tuple[int, int]:
    return len(dataset.train), len(dataset.test)


def left_out(dataset: Dataset) -> dict[str, int]:
    return {entry.what: entry.count for entry in dataset.interpretation.left_out}


def table(*rows: tuple[object, ...], head: str = "image,label") -> str:
    return "\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n"
