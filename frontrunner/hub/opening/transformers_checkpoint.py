"""Opening vision checkpoints in transformers' form."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import MULTI_LABEL, PROCESSOR_FILE
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.hub.opening.transformers_loading import LOCAL, load_model, transformers_errors


def open_image_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder in transformers' form with its own image processor; safetensors only, no code of its own.

    Features are what enters the classifier, captured there; a checkpoint without a classifier gives its pooled
    output, or else the mean over positions.

    Raises:
        CheckpointUnreadable: transformers cannot open it, or it has no preprocessing.
    """
    if not (folder / PROCESSOR_FILE).is_file():
        raise CheckpointUnreadable(f"{description.id} has no {PROCESSOR_FILE}: its preprocessing is unknown")
    with transformers_errors(description.id):
        config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
        classifies = any(name.endswith("ForImageClassification") for name in config.architectures or ())
        loader = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
        module = load_model(description.id, loader, folder, config)
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **LOCAL)
    classifier = _classifier(module) if classifies else None
    forward = functools.partial(_pooled, module) if classifier is None else _BeforeClassifier(module, classifier)
    prepare = functools.partial(_prepare, processor)
    with torch.inference_mode(), transformers_errors(description.id):
        example = prepare(Image.new("RGB", (64, 64)))[None]
        dimension = int(forward(example).features.shape[1])
    return Checkpoint(description, module, ImagePreparation(prepare), forward, dimension)


class _BeforeClassifier:
    """Reads what enters the classifier, exactly the features that the checkpoint's own head sees, and its answer."""

    def __init__(self, module: Any, classifier: nn.Module) -> None:
        self._module = module
        self._classifies = module.config.problem_type != MULTI_LABEL and module.config.num_labels > 1
        self._entering: Tensor | None = None
        classifier.register_forward_pre_hook(self._remember)

    def _remember(self, _module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._entering = arguments[0]

    def __call__(self, pixels: Tensor) -> ForwardOutput:
        logits = self._module(pixel_values=pixels).logits
        entering, self._entering = self._entering, None
        if entering is None:
            raise CheckpointUnreadable("the model never called its classifier")
        return ForwardOutput(entering.flatten(1), logits if self._classifies else None)


def _classifier(module: nn.Module) -> nn.Module | None:
    """The last linear layer outside of the backbone, or None."""
    backbone = getattr(module, "base_model", None)
    inside = {id(part) for part in backbone.modules()} if isinstance(backbone, nn.Module) else set()
    heads = [part for part in module.modules() if isinstance(part, nn.Linear) and id(part) not in inside]
    return heads[-1] if heads else None


def _pooled(module: Any, pixels: Tensor) -> ForwardOutput:
    output = module(pixel_values=pixels)
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return ForwardOutput(torch.as_tensor(pooled).flatten(1), None)
    hidden = torch.as_tensor(output.last_hidden_state)
    return ForwardOutput(hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1), None)


def _prepare(processor: Any, image: Image.Image) -> Tensor:
    pixels: Tensor = processor(images=image, return_tensors="pt")["pixel_values"][0]
    return pixels
