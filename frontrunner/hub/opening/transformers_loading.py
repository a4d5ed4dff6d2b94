"""What opening a checkpoint by transformers always means: files at hand, safetensors, float32, no code of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.hub.describing.weights import weight_files
from frontrunner.hub.opening.loading import stored_weights

transformers_logging.disable_progress_bar()
# It reports missing weights as a warning; here nothing that lacks weights is read.
transformers_logging.set_verbosity_error()

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@contextmanager
def transformers_errors(checkpoint: str) -> Iterator[None]:
    """Whatever a configuration or a weights file leads transformers to raise, as one named error.

    Raises:
        CheckpointUnreadable: transformers cannot open it.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointUnreadable(f"{checkpoint}: transformers cannot open it: {error}") from error


def load_model(checkpoint: str, architecture: Any, folder: Path, config: Any) -> tuple[Any, list[str]]:
    """The model of a folder in evaluation mode, float32, and the names of weights that the folder does not hold.

    The library fills those with random values. Here they are NaN: whatever passes through one is NaN as well, and
    nothing random can come out of a reading unseen.

    Args:
        checkpoint: its id, for messages.
        architecture: one of transformers' model classes.
        folder: where its files lie.
        config: its configuration, as transformers reads it.

    Raises:
        CheckpointUnreadable: weights are of the wrong shape, or none of them are the architecture's.
    """
    # The library's own way through a folder holds float16 weights beside the float32 ones that it makes of them.
    module, report = architecture.from_pretrained(
        None,
        config=config,
        state_dict=dict(stored_weights(weight_files(folder))),
        dtype=torch.float32,
        output_loading_info=True,
    )
    if report["mismatched_keys"]:
        wrong = sorted(map(str, report["mismatched_keys"]))
        raise CheckpointUnreadable(f"{checkpoint}: weights are misshapen, for instance {wrong[:3]}")
    places = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    missing = [name for name in sorted(report["missing_keys"]) if name in places and places[name].is_floating_point()]
    with torch.no_grad():
        for name in missing:
            places[name].fill_(float("nan"))
    return module.eval(), missing
