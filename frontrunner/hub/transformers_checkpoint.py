"""Opening vision checkpoints in transformers' form."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.checkpoint import Checkpoint
from frontrunner.hub.description import PROCESSOR_FILE, CheckpointDescription

transformers_logging.disable_progress_bar()


def open_transformers_directory(description: CheckpointDescription) -> Checkpoint:
    """Open a folder in transformers' form with its own image processor; safetensors only, no code of its own.

    Features are what enters the classifier, captured there; a checkpoint without a classifier gives its pooled
    output, or else the mean over positions.

    Raises:
        CheckpointUnreadable: transformers cannot open it, or it has no preprocessing.
    """
    folder = Path(description.path)
    if not (folder / PROCESSOR_FILE).is_file():
        raise CheckpointUnreadable(f"{description.id} has no {PROCESSOR_FILE}: its preprocessing is unknown")
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        classifies = any(name.endswith("ForImageClassification") for name in config.architectures or ())
        loader = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
        module, report = loader.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **local)
    except Exception as error:  # transformers raises whatever a configuration or a weights file leads it to
        raise CheckpointUnreadable(f"{description.id}: transformers cannot open it: {error}") from error
    missing = sorted(name for name in report["missing_keys"] if not name.endswith("num_batches_tracked"))
    if missing or report["mismatched_keys"]:
        raise CheckpointUnreadable(f"{description.id}: weights are missing or misshapen, for instance {missing[:3]}")

    module = module.eval()
    classifier = _classifier(module) if classifies else None
    read = functools.partial(_pooled, module) if classifier is None else _BeforeClassifier(module, classifier)
    preprocess = functools.partial(_prepare, processor)
    with torch.inference_mode():
        example = preprocess(Image.new("RGB", (64, 64)))[None]
        dimension = int(read(example).shape[1])
    return Checkpoint(description, module, preprocess, read, dimension)


class _BeforeClassifier:
    """Reads what enters the classifier: exactly the features that the checkpoint's own head sees."""

    def __init__(self, module: Any, classifier: nn.Module) -> None:
        self._module = module
        self._entering: Tensor | None = None
        classifier.register_forward_pre_hook(self._remember)

    def _remember(self, _module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._entering = arguments[0]

    def __call__(self, batch: Tensor) -> Tensor:
        self._module(pixel_values=batch)
        entering, self._entering = self._entering, None
        if entering is None:
            raise CheckpointUnreadable("the model never called its classifier")
        return entering.flatten(1)


def _classifier(module: nn.Module) -> nn.Module | None:
    """The last linear layer outside of the backbone, or None."""
    backbone = getattr(module, "base_model", None)
    inside = {id(part) for part in backbone.modules()} if isinstance(backbone, nn.Module) else set()
    heads = [part for part in module.modules() if isinstance(part, nn.Linear) and id(part) not in inside]
    return heads[-1] if heads else None


def _pooled(module: Any, batch: Tensor) -> Tensor:
    output = module(pixel_values=batch)
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return torch.as_tensor(pooled).flatten(1)
    hidden = torch.as_tensor(output.last_hidden_state)
    return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)


def _prepare(processor: Any, image: Image.Image) -> Tensor:
    pixels: Tensor = processor(images=image, return_tensors="pt")["pixel_values"][0]
    return pixels
