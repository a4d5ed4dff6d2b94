"""Pickled weights, where an administrator lets them be read: copied into safetensors once, by a reader of data only.

torch's weights-only reader makes tensors and plain containers and refuses everything else, so that a pickle that would
run code ends here with an error. What it made is written as safetensors, and from there on nothing is special.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint
from frontrunner.files import digest_once
from frontrunner.hub.describing.configuration import deciding_files, sentence_encoder_in
from frontrunner.hub.describing.weights import PICKLE_SUFFIX, WEIGHTS_FILE, weight_files
from frontrunner.hub.fetching.whole_folder import whole_folder


def as_safetensors(folder: Path, into: Path) -> Path:
    """A folder with a checkpoint's configuration, and its weights as safetensors where they are pickled.

    Args:
        folder: where the checkpoint lies; it is given back as it is where nothing in it is pickled.
        into: the new folder is made below it, once for the same files.

    Raises:
        UnsafeCheckpoint: a pickle holds anything but tensors in dictionaries.
        CheckpointUnreadable: it is no pickle of weights.
    """
    encoder = sentence_encoder_in(folder)
    parts = (encoder.folder, *(step.folder for step in encoder.weighted_steps))
    weights = {part: weight_files(folder / part, pickles_allowed=True) for part in parts}
    pickled = {part: files for part, files in weights.items() if files[0].suffix == PICKLE_SUFFIX}
    if not pickled:
        return folder
    kept = {name for name in deciding_files(encoder) if (folder / name).is_file()}
    whole = [file for part, files in weights.items() if part not in pickled for file in files]
    kept |= {file.relative_to(folder).as_posix() for file in whole}
    sources = [*(folder / name for name in sorted(kept)), *(file for files in pickled.values() for file in files)]
    identity = hashlib.sha256("\n".join(f"{path.name} {digest_once(path)}" for path in sources).encode())
    target = into / identity.hexdigest()[:32]
    if target.is_dir():
        return target
    tensors = {part: _tensors(files) for part, files in pickled.items()}
    try:
        with whole_folder(target) as partial:
            for name in kept:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, partial / name)
            for part, values in tensors.items():
                (partial / part).mkdir(parents=True, exist_ok=True)
                save_file(values, partial / part / WEIGHTS_FILE)
    except OSError as error:
        raise CheckpointUnreadable(f"{folder.name}: its weights cannot be rewritten: {error}") from error
    return target


def _tensors(pickles: Iterable[Path]) -> dict[str, Tensor]:
    # Tensors that share memory are told apart: safetensors keeps each on its own.
    return {str(name): value.contiguous().clone() for pickle in pickles for name, value in _unpickled(pickle).items()}


def _unpickled(pickle: Path) -> dict[Any, Tensor]:
    try:
        stored = torch.load(pickle, map_location="cpu", weights_only=True)
    except Exception as error:  # what a stranger's bytes lead the reader to; a refusal names what it met
        raise UnsafeCheckpoint(
            f"{pickle.parent.name}/{pickle.name} holds more than weights, or is damaged: {str(error)[:300]}"
        ) from error
    stored = stored.get("state_dict", stored) if isinstance(stored, dict) else stored
    if not isinstance(stored, dict) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise CheckpointUnreadable(f"{pickle.parent.name}/{pickle.name} is no dictionary of tensors")
    return stored
