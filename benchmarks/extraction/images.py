"""One checkpoint's images a second: the bare model on ready tensors, a plain loop over files, and the reader."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from pydantic import BaseModel
from torch.utils.data import DataLoader, Dataset

from benchmarks.extraction.timing import Clock, Timed, in_turn
from frontrunner.data.dataset import ImageInputs, Key
from frontrunner.extraction.backends import EagerBackend
from frontrunner.extraction.folding import lay_out_for_reading
from frontrunner.extraction.openvino_backend import OpenVinoBackend, is_available
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import CheckpointDescription, HubAccess, describe_directory
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.settings import Settings

# Architectures that the pack has none of, with random weights: they take as long as trained ones.
RANDOM = ("resnet18", "vit_small_patch16_224", "convnext_tiny")
LOOP_BATCH = 32
_ROWS = (8, 32)
_LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


class ImageSpeed(BaseModel):
    """What was measured of one checkpoint; rates are of `images` images.

    Attributes:
        torch: the opened model on ready tensors, the fastest of its settings.
        openvino: the converted model on ready tensors; None where OpenVINO is not installed.
        decoding: the plain loop's decoding and preparing alone.
        difference: of the reader's features from the loop's, as a share of the largest.
    """

    checkpoint: str
    images: int
    clock: Clock
    threads: int
    torch_setting: str
    torch: Timed
    openvino: Timed | None
    decoding: Timed
    loop: Timed
    reader: Timed
    backend: str
    difference: float

    @property
    def row(self) -> list[str]:
        """As a row of the table."""
        bare = min(self.torch.median, self.openvino.median if self.openvino else float("inf"))
        return [
            self.checkpoint,
            f"{len(self.loop.seconds)} x {self.images}",
            f"{self.torch.rate(self.images)}, {self.torch_setting}",
            self.openvino.rate(self.images) if self.openvino else "-",
            self.loop.rate(self.images),
            f"{self.reader.rate(self.images)}, {self.backend}",
            f"{bare / self.reader.median:.2f}",
            f"{self.loop.median / self.reader.median:.2f}",
            f"{self.decoding.median / self.reader.median:.0%}",
            f"{self.difference:.0e}",
        ]


HEADINGS = (
    "checkpoint",
    "rounds x images",
    "torch, ready tensors",
    "OpenVINO, ready tensors",
    "plain loop",
    "reader",
    "of the fastest bare",
    "times the loop",
    "decoding, of the reader's time",
    "difference",
)


class Files(Dataset[torch.Tensor]):
    """A checkpoint's prepared images, as a DataLoader takes them."""

    def __init__(self, checkpoint: Checkpoint, inputs: ImageInputs, keys: Sequence[Key]) -> None:
        self._prepare: Any = checkpoint.preparation.prepare  # type: ignore[attr-defined]
        self._inputs = inputs
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._prepare(self._inputs.decode(self._keys[index]))


def plain_loop(checkpoint: Checkpoint, inputs: ImageInputs, keys: Sequence[Key]) -> np.ndarray:
    """Features as everybody's first script reads them: a DataLoader, batches of 32, the model as it was opened."""
    loader = DataLoader(Files(checkpoint, inputs, keys), batch_size=LOOP_BATCH)
    return np.concatenate([checkpoint.read(batch).features.numpy() for batch in loader])


def described(name: str, pack: Path) -> CheckpointDescription:
    """A checkpoint of the pack, or an architecture with random weights."""
    if name not in RANDOM:
        return describe_directory(pack / "hub" / name)
    folder = Path(tempfile.gettempdir()) / "frontrunner-benchmark" / "random" / name
    if not folder.is_dir():
        torch.manual_seed(0)
        timm.models.save_for_hf(timm.create_model(name), folder, safe_serialization=True)
    return describe_directory(folder)


def measure(
    description: CheckpointDescription, inputs: ImageInputs, keys: Sequence[Key], rounds: int, clock: Clock, home: Path
) -> ImageSpeed:
    """All ways of one checkpoint in turn; the reader as in a ranking of as many examples as one reads by default."""
    plain = open_checkpoint(description)
    pixels = torch.stack([plain.preparation.prepare(inputs.decode(key)) for key in keys])  # type: ignore[attr-defined]
    reader = FeatureReader(
        open_checkpoint(description), inputs, examples=DEFAULT_MAX_EXAMPLES, access=HubAccess.of(Settings(home=home))
    )
    features: dict[str, np.ndarray] = {}

    def bare(rows: int, layout: torch.memory_format) -> None:
        plain.module.to(memory_format=layout)
        for part in pixels.split(rows):
            plain.read(part.contiguous(memory_format=layout))

    def loop() -> None:
        plain.module.to(memory_format=torch.contiguous_format)
        features["loop"] = plain_loop(plain, inputs, keys)

    def read() -> None:
        features["reader"] = reader.read(keys).features

    ways: dict[str, Any] = {
        f"{rows} {name}": lambda rows=rows, layout=layout: bare(rows, layout)
        for rows in _ROWS
        for name, layout in _LAYOUTS.items()
    }
    bare_names = tuple(ways)
    if is_available():
        opened = open_checkpoint(description)
        lay_out_for_reading(opened, pixels[:2])
        converted = OpenVinoBackend(opened, pixels, EagerBackend(opened, torch.device("cpu")))
        ways["openvino"] = lambda: converted.read(pixels)
    files = Files(plain, inputs, keys)
    ways |= {"decoding": lambda: [files[at] for at in range(len(keys))], "loop": loop, "reader": read}
    found = in_turn(ways, rounds, clock)
    best = min(bare_names, key=lambda name: found[name].median)
    used = reader.provenance.backend
    assert used is not None
    return ImageSpeed(
        checkpoint=description.id.removeprefix("local:"),
        images=len(keys),
        clock=clock,
        threads=torch.get_num_threads(),
        torch_setting=best,
        torch=found[best],
        openvino=found.get("openvino"),
        decoding=found["decoding"],
        loop=found["loop"],
        reader=found["reader"],
        backend=f"{used.name} {used.rows or ''}".strip(),
        difference=float(np.abs(features["reader"] - features["loop"]).max() / np.abs(features["loop"]).max()),
    )
