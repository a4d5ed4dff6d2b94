"""What opening a checkpoint by transformers always means: files at hand, safetensors, float32, no code of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.auto_factory import _get_model_class
from transformers.utils import logging as transformers_logging

from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.hub.describing.weights import weight_files
from frontrunner.hub.opening.loading import stored_weights

transformers_logging.disable_progress_bar()
# It reports missing weights as a warning; here they are an error, unless they are not read.
transformers_logging.set_verbosity_error()

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
# Weights that a checkpoint may lack: counters that evaluation does not read, and a pooling layer that is not read.
_OPTIONAL = ("num_batches_tracked", "position_ids")
_OPTIONAL_LAYERS = ("pooler.",)


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


def load_model(checkpoint: str, loader: Any, folder: Path, config: Any) -> Any:
    """The model of a folder in evaluation mode, float32.

    Args:
        checkpoint: its id, for messages.
        loader: one of transformers' `AutoModel...` classes.
        folder: where its files lie.
        config: its configuration, as transformers reads it.

    Raises:
        CheckpointUnreadable: weights are missing or misshapen.
    """
    # The library's own way through a folder holds float16 weights beside the float32 ones that it makes of them.
    architecture: Any = _get_model_class(config, loader._model_mapping)
    module, report = architecture.from_pretrained(
        None,
        config=config,
        state_dict=dict(stored_weights(weight_files(folder))),
        dtype=torch.float32,
        output_loading_info=True,
    )
    missing = sorted(
        name
        for name in report["missing_keys"]
        if not name.endswith(_OPTIONAL) and not name.startswith(_OPTIONAL_LAYERS)
    )
    if missing or report["mismatched_keys"]:
        wrong = missing or sorted(map(str, report["mismatched_keys"]))
        raise CheckpointUnreadable(f"{checkpoint}: weights are missing or misshapen, for instance {wrong[:3]}")
    return module.eval()
