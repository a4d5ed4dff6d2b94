"""Checkpoint after checkpoint end to end: opening and reading, as a ranking does it, and by the plain loop."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from benchmarks.extraction.images import plain_loop
from benchmarks.extraction.timing import Clock, once
from frontrunner.data.dataset import Dataset, ImageInputs
from frontrunner.extraction import FeatureShards
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import Settings
from frontrunner.store import FolderStore


class EndToEnd(BaseModel):
    """Seconds of one checkpoint, opened and read both ways; probes, conversions and stored pixels counted."""

    checkpoint: str
    dataset: str
    images: int
    clock: Clock
    ours: float
    loop: float
    backend: str


def measure(
    description: CheckpointDescription, dataset: Dataset, images: int, clock: Clock, home: Path, *, ours_first: bool
) -> EndToEnd:
    """One checkpoint; `home` holds what ranking the earlier ones left: decoded images and measured speeds."""
    assert isinstance(dataset.inputs, ImageInputs)
    inputs, keys = dataset.inputs, dataset.train.keys[:images]
    open_checkpoint(description)  # libraries are imported once a process, and not by one way's time
    with tempfile.TemporaryDirectory() as folder:
        shards = FeatureShards(
            description,
            dataset,
            np.arange(len(dataset.train)),
            images,
            FolderStore(Path(folder)),
            access=HubAccess.of(Settings(home=home)),
        )
        ways = {
            "ours": lambda: [shard.features for shard in shards],
            "loop": lambda: plain_loop(open_checkpoint(description), inputs, keys),
        }
        order = ("ours", "loop") if ours_first else ("loop", "ours")
        seconds = {name: once(ways[name], clock) for name in order}
        used = shards.provenance.backend
    assert used is not None
    return EndToEnd(
        checkpoint=description.id.removeprefix("local:"),
        dataset=dataset.name,
        images=len(keys),
        clock=clock,
        ours=seconds["ours"],
        loop=seconds["loop"],
        backend=f"{used.name} {used.rows or ''}".strip(),
    )
