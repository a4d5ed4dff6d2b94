"""Sentences a second: sorted batches of a token budget against a loop that pads every batch to 128 tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel

from benchmarks.extraction.timing import Clock, Timed, in_turn
from frontrunner.data.dataset import Key, TextInputs
from frontrunner.extraction import SHARD_SIZE
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import HubAccess
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.settings import Settings

PADDED_TO = 128
BATCH = 32


class TextSpeed(BaseModel):
    """What was measured of one encoder.

    Attributes:
        padded: the usual loop: 32 texts a batch in the order given, `padding="max_length"`, the model as it was opened.
        reader: as a ranking reads, shard by shard.
        difference: of their features, the largest.
    """

    checkpoint: str
    sentences: int
    clock: Clock
    padded: Timed
    reader: Timed
    backend: str
    difference: float


def measure(
    name: str | Path, inputs: TextInputs, keys: Sequence[Key], rounds: int, clock: Clock, home: Path
) -> TextSpeed:
    """Both ways in turn."""
    access = HubAccess.of(Settings(home=home))
    opened, plain = open_checkpoint(name, access), open_checkpoint(name, access)
    reader = FeatureReader(opened, inputs, examples=DEFAULT_MAX_EXAMPLES, access=access)
    tokenizer = plain.preparation._tokenizer  # type: ignore[attr-defined]
    features: dict[str, np.ndarray] = {}

    def sorted_batches() -> None:
        pieces = [keys[start : start + SHARD_SIZE] for start in range(0, len(keys), SHARD_SIZE)]
        features["reader"] = np.concatenate([reader.read(piece).features for piece in pieces])

    def padded_loop() -> None:
        rows = []
        for start in range(0, len(keys), BATCH):
            texts = [inputs.texts[int(key)] for key in keys[start : start + BATCH]]
            tokens = tokenizer(texts, padding="max_length", max_length=PADDED_TO, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                hidden = plain.module(**tokens).last_hidden_state
            weights = tokens["attention_mask"].unsqueeze(-1)
            rows.append(((hidden * weights).sum(1) / weights.sum(1)).numpy())
        features["loop"] = np.concatenate(rows)

    found = in_turn({"reader": sorted_batches, "padded": padded_loop}, rounds, clock)
    used = reader.provenance.backend
    assert used is not None
    unit = {way: rows / np.linalg.norm(rows, axis=1, keepdims=True) for way, rows in features.items()}
    return TextSpeed(
        checkpoint=opened.description.id.removeprefix("local:"),
        sentences=len(keys),
        clock=clock,
        padded=found["padded"],
        reader=found["reader"],
        backend=used.name,
        difference=float(np.abs(unit["reader"] - unit["loop"]).max()),
    )
