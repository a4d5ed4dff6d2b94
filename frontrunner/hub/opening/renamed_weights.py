"""Weights that a package ships under names of its own, brought into timm's form. Imports torch."""

from __future__ import annotations

from pathlib import Path

import timm
import torch

from frontrunner.errors import CheckpointUnreadable

# A buffer that older checkpoints lack and that evaluation does not read.
_COUNTER = "num_batches_tracked"


def write_timm_folder(weights: Path, architecture: str, folder: Path) -> None:
    """Write a pickle of weights as a folder in timm's form: the same tensors in the same order, under timm's names.

    The pickle is read by torch's weights-only reader; the preprocessing is timm's own for the architecture.

    Raises:
        CheckpointUnreadable: a tensor's shape does not fit.
    """
    module = timm.create_model(architecture)
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith(_COUNTER)}
    given = [value for name, value in stored.items() if not name.endswith(_COUNTER)]
    if [value.shape for value in given] != [value.shape for value in wanted.values()]:
        raise CheckpointUnreadable(f"the shapes in {weights.name} do not fit {architecture}")
    module.load_state_dict(dict(zip(wanted, given, strict=True)), strict=False)
    timm.models.save_for_hf(module, str(folder), safe_serialization=True)
