"""Pickled weights, where an administrator lets them be read: copied into safetensors once, by a reader of data only.

torch's weights-only reader makes tensors and plain containers and refuses everything else, so that a pickle that would
run code ends here with an error. What it made is written as safetensors, and from there on nothing is special.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint
from frontrunner.hub.describing.configuration import DECIDING_FILES
from frontrunner.hub.describing.description import digest_once
from frontrunner.hub.describing.weights import WEIGHTS_FILE
from frontrunner.hub.fetching.whole_folder import whole_folder


def as_safetensors(folder: Path, pickle: Path, into: Path) -> Path:
    """A folder below `into` with the checkpoint's configuration and its weights as safetensors.

    Raises:
        UnsafeCheckpoint: the pickle holds anything but tensors in dictionaries.
        CheckpointUnreadable: it is no pickle of weights.
    """
    target = into / digest_once(pickle)[:32]
    if target.is_dir():
        return target
    weights = _tensors(pickle)
    try:
        with whole_folder(target) as partial:
            save_file(weights, partial / WEIGHTS_FILE)
            for name in DECIDING_FILES:
                if (folder / name).is_file():
                    (partial / name).parent.mkdir(exist_ok=True)
                    shutil.copyfile(folder / name, partial / name)
    except OSError as error:
        raise CheckpointUnreadable(f"{folder.name}: its weights cannot be rewritten: {error}") from error
    return target


def _tensors(pickle: Path) -> dict[str, Tensor]:
    try:
        stored = torch.load(pickle, map_location="cpu", weights_only=True)
    except Exception as error:  # what a stranger's bytes lead the reader to; a refusal names what it met
        raise UnsafeCheckpoint(
            f"{pickle.parent.name}/{pickle.name} holds more than weights, or is damaged: {str(error)[:300]}"
        ) from error
    stored = stored.get("state_dict", stored) if isinstance(stored, dict) else stored
    if not isinstance(stored, dict) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise CheckpointUnreadable(f"{pickle.parent.name}/{pickle.name} is no dictionary of tensors")
    # Tensors that share memory are told apart: safetensors keeps each on its own.
    return {str(name): value.contiguous().clone() for name, value in stored.items()}
