"""Opening vision checkpoints in transformers' form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import MULTI_LABEL
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.image_families import layer_widths
from frontrunner.hub.describing.reading import ImagePooling, ReadingProvenance
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.image_layers import Positions, features_at_layers, keep_layers, stack_of
from frontrunner.hub.opening.image_module import (
    ClassifierInput,
    ImageRun,
    image_config,
    is_classifier,
    load_image_module,
    logits_in,
)
from frontrunner.hub.opening.image_processor import PIXELS, Pixels, image_processor
from frontrunner.hub.opening.images import EncodedImagePreparation, ImagePreparation
from frontrunner.hub.opening.transformers_loading import LOCAL, transformers_errors

# Width and height of an image that shows whether a processor keeps proportions.
_EXAMPLE = (80, 60)


def open_image_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder in transformers' form with its own image processor; safetensors only, no code of its own.

    Features are what enters the classifier, captured there; a checkpoint without a classifier gives its pooled
    output, or else the mean over positions. Where the folder does not hold the weights of its pooling layer, the class
    token is read, or the mean over positions where there is none, and the provenance says so. Of a pair of encoders
    the image encoder is read.

    Raises:
        CheckpointUnreadable: transformers cannot open it, weights that are read are missing, or it has no
            preprocessing.
    """
    how = description.image_pooling
    # Not inference mode: weights that are made in it cannot be folded or moved later.
    with transformers_errors(description.id), torch.no_grad():
        config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
        classifies = how is None and is_classifier(config)
        module, missing = load_image_module(description.id, folder, config, classifier=classifies)
        channels = getattr(image_config(config), "num_channels", None) or 3
        processor = image_processor(description.id, folder, module, channels)
        example = {name: value[None] for name, value in processor(Image.new("RGB", _EXAMPLE)).items()}
        notes = ("images are read in grey",) if channels == 1 else ()
        run = ImageRun(module)
        if run.interpolates(example):
            notes = (*notes, "positions are interpolated to the size that its processor prepares")
        forward: _BeforeClassifier | _Pooled | _AtLayer
        if classifies:
            forward = _BeforeClassifier(run, example)
        elif how is None or how.layer is None:
            forward = _Pooled(run, example, how or ImagePooling())
        else:
            forward = _at_layer(run, example, how, description.layers, layer_widths(image_config(config).to_dict()))
        features = forward(example).features
        if features.isnan().any():
            named = f", for instance {missing[:3]}" if missing else ""
            raise CheckpointUnreadable(f"{description.id}: weights are missing or not finite{named}")
    preparation = (
        ImagePreparation(Pixels(processor)) if example.keys() == {PIXELS} else EncodedImagePreparation(processor)
    )
    provenance = ReadingProvenance(notes=(*notes, *forward.notes))
    return Checkpoint(description, module, preparation, forward, int(features.shape[1]), provenance)


class _BeforeClassifier:
    """Reads what enters the classifier, exactly the features that the checkpoint's own head sees, and its answer.

    Attributes:
        notes: what to know of it.
    """

    def __init__(self, run: ImageRun, example: dict[str, Tensor]) -> None:
        self._run = run
        self._input = ClassifierInput(run.module, lambda: logits_in(run(example)))
        config = run.module.config
        whole = not logits_in(run(example)).isnan().any()
        self._classifies = whole and config.problem_type != MULTI_LABEL and config.num_labels > 1
        self.notes = () if whole else ("its classifier's weights are not in the folder: it predicts nothing",)

    def __call__(self, inputs: Any) -> ForwardOutput:
        logits = logits_in(self._run(inputs))
        return ForwardOutput(self._input.take(), logits if self._classifies else None)


class _Pooled:
    """Reads the pooled output of a model without a classifier, or its last hidden states as `how` says.

    Attributes:
        notes: what is read in place of a pooled output whose weights are missing.
    """

    def __init__(self, run: ImageRun, example: dict[str, Tensor], how: ImagePooling) -> None:
        self._run = run
        self._positions = Positions(run.module, layer_widths(run.module.config.to_dict()))
        self._pooling: str | None = how.pooling
        self.notes: tuple[str, ...] = ()
        if how.pooling == "cls" and not self._positions.class_token:
            raise CheckpointUnreadable("it has no class token")
        if how.pooling is not None:
            return
        pooled = _pooled(run(example))
        if pooled is None:
            self._pooling = "mean"
        elif pooled.isnan().any():
            self._pooling = self._positions.default
            read = "the class token" if self._positions.class_token else "the mean over positions"
            self.notes = (f"its pooling layer's weights are not in the folder: {read} is read",)

    def __call__(self, inputs: Any) -> ForwardOutput:
        output = self._run(inputs)
        if self._pooling is not None:
            return ForwardOutput(self._positions.pool(_hidden(output), self._pooling), None)
        pooled = _pooled(output)
        assert pooled is not None  # noqa: S101 - there was one for the example
        return ForwardOutput(pooled.flatten(1), None)


class _AtLayer:
    """Reads the outputs of layers; the rest of the model is not run."""

    notes: tuple[str, ...] = ()

    def __init__(self, run: ImageRun, layers: list[nn.Module], positions: Positions, how: ImagePooling) -> None:
        self._run = run
        self._layers = layers
        self._positions = positions
        self._how = how

    def __call__(self, inputs: Any) -> ForwardOutput:
        return ForwardOutput(
            features_at_layers(self._layers, lambda: self._run(inputs), self._positions, self._how), None
        )


def _at_layer(
    run: ImageRun, example: dict[str, Tensor], how: ImagePooling, count: int, widths: tuple[int, ...]
) -> _Pooled | _AtLayer:
    """Reads at a layer: what closes the stack stays behind it where it fits, as it does behind layers of one width."""
    held = stack_of(run.module, count)
    if held is None:
        raise CheckpointUnreadable(f"its {count} layers cannot be told apart")
    owner, name = held
    layers = list(getattr(owner, name))
    positions = Positions(run.module, widths)
    if how.pooling == "cls" and not positions.class_token:
        raise CheckpointUnreadable("it has no class token")
    if not isinstance(how.layer, int):
        return _AtLayer(run, layers, positions, how)
    if len(set(widths)) == 1:
        keep_layers(run.module, count, how.layer)
        return _Pooled(run, example, ImagePooling(pooling=how.pooling or ("cls" if positions.class_token else "mean")))
    return _AtLayer(run, layers[: how.layer], positions, how)


def _pooled(output: Any) -> Tensor | None:
    pooled = getattr(output, "pooler_output", None)
    return None if pooled is None else torch.as_tensor(pooled)


def _hidden(output: Any) -> Tensor:
    # Detectors and the like: the decoder's queries are no positions of the image.
    for name in ("encoder_last_hidden_state", "last_hidden_state", "feature_maps"):
        value = getattr(output, name, None)
        if value is not None:
            return torch.as_tensor(value[-1] if isinstance(value, (tuple, list)) else value)
    raise CheckpointUnreadable("the model gives no hidden states of the image")
