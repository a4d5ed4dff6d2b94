"""Opening checkpoints in timm's form: folders with `architecture`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.data
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from frontrunner.errors import CheckpointError, CheckpointUnreadable
from frontrunner.hub.describing.configuration import CONFIG_FILE, MULTI_LABEL, read_config
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.image_families import timm_layers
from frontrunner.hub.describing.reading import ImagePooling, ReadingProvenance
from frontrunner.hub.describing.weights import WEIGHTS_FILE, tensor_shapes
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.image_layers import Positions, features_at_layers, stack_of
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.hub.opening.loading import assign_weights

# What transformers calls its wrapper around timm's models, and how it begins the names of their weights.
WRAPPER = "timm_wrapper"
_WRAPPED = "timm_model."


def open_timm_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder of `config.json` and `model.safetensors`; `model_args` are honoured.

    A folder that transformers' wrapper around timm wrote is one, too. Weights that fit as they are go straight from the
    file into place, once in memory. Others are left to timm, which renames and resamples them and holds them twice
    meanwhile.

    Raises:
        CheckpointUnreadable: unknown architecture, or weights that do not fit it.
    """
    config = read_config(folder / CONFIG_FILE)
    if not timm.is_model(description.architecture):
        raise CheckpointUnreadable(
            f"{description.id}: timm {timm.__version__} has no architecture '{description.architecture}'"
        )
    try:
        module = _wrapped(config, folder) if config.get("model_type") == WRAPPER else _module(folder)
        return _checkpoint(description, module.eval().float(), config)
    except CheckpointError as error:
        raise CheckpointUnreadable(f"{description.id}: {error.reason}") from error
    except Exception as error:  # whatever a configuration or a weights file leads an architecture to
        raise CheckpointUnreadable(f"{description.id}: timm cannot open it: {error}") from error


def _module(folder: Path) -> Any:
    weights = folder / WEIGHTS_FILE
    module = timm.create_model(f"local-dir:{folder}")
    if _fits(module, weights):
        assign_weights(module, weights)
        return module
    # timm prefers model.safetensors over every other file, and describing made sure that it is there.
    return timm.create_model(f"local-dir:{folder}", pretrained=True)


def _wrapped(config: dict[str, Any], folder: Path) -> Any:
    """A model that transformers' wrapper saved: the same arguments by the same names, and a prefix of the weights."""
    heads = [str(name) for name in config.get("architectures") or ()]
    classifies = any("ForImageClassification" in name for name in heads)
    module = timm.create_model(
        config["architecture"],
        pretrained_cfg=config.get("pretrained_cfg"),
        num_classes=int(config.get("num_classes") or 0) if classifies else 0,
        **(config.get("model_args") or {}),
    )
    assign_weights(module, folder / WEIGHTS_FILE, prefix=_WRAPPED)
    return module


def _fits(module: nn.Module, weights: Path) -> bool:
    """Whether every tensor of the file has a place of its name and shape, and the classifier needs no rows dropped."""
    places = module.state_dict()
    offset = getattr(module, "pretrained_cfg", {}).get("label_offset", 0)
    return not offset and all(
        name in places and places[name].shape == shape for name, shape in tensor_shapes(weights).items()
    )


@torch.no_grad()
def _checkpoint(description: CheckpointDescription, module: Any, config: dict[str, Any]) -> Checkpoint:
    prepare, notes = _preparation(module)
    example = prepare(Image.new("RGB", (64, 64)))[None]
    how = description.image_pooling
    forward: _Forward | _AtLayer
    if how is None:
        forward = _Forward(module, classifies=_classifies(module) and config.get("problem_type") != MULTI_LABEL)
        if forward.pre_logits(example)[0].numel() > forward(example).features.shape[1]:
            notes = (*notes, f"saved without pooling: {forward.pooling} is read")
    else:
        forward = _at_layer(module, example, how)
    dimension = int(forward(example).features.shape[1])
    return Checkpoint(
        description, module, ImagePreparation(prepare), forward, dimension, ReadingProvenance(notes=notes)
    )


def _preparation(module: Any) -> tuple[_Prepare, tuple[str, ...]]:
    """timm's own preprocessing of the checkpoint, and what to know of it."""
    stated = timm.data.resolve_data_config({}, pretrained_cfg=module.pretrained_cfg)
    channels = int(getattr(module, "in_chans", stated["input_size"][0]))
    if channels not in (1, 3):
        raise CheckpointUnreadable(f"it reads {channels} channels; images have 1 or 3")
    stated["input_size"] = (channels, *stated["input_size"][1:])
    if channels == 1:
        # As timm's own loader does it: one mean and one deviation for all channels.
        stated |= {name: (sum(stated[name]) / len(stated[name]),) for name in ("mean", "std")}
    notes = ("images are read in grey",) if channels == 1 else ()
    transform = timm.data.create_transform(**stated, is_training=False)
    *shaping, _, normalise = transform.transforms  # the one between makes a tensor of an image
    return _Prepare(_Shape(shaping, "L" if channels == 1 else "RGB"), normalise), notes


class _Shape:
    """The steps of timm's preprocessing that take an image to another: see `checkpoint.Shape`."""

    def __init__(self, steps: Sequence[Any], mode: str) -> None:
        self._steps = steps
        self._mode = mode
        given = [{name: value for name, value in vars(step).items() if not name.startswith("_")} for step in steps]
        self.name = repr((mode, torchvision.__version__, [type(step).__name__ for step in steps], given))

    def __call__(self, image: Image.Image) -> Image.Image:
        shaped = image if image.mode == self._mode else image.convert(self._mode)
        for step in self._steps:
            shaped = step(shaped)
        return shaped


class _Prepare:
    """An RGB image as pixels (C, H, W), in two steps: see `images.InTwoSteps`."""

    def __init__(self, shape: _Shape, normalise: Any) -> None:
        self.shape = shape
        self._mean, self._deviation = (
            torch.as_tensor(each).reshape(-1, 1, 1) for each in (normalise.mean, normalise.std)
        )

    def __call__(self, image: Image.Image) -> Tensor:
        return self.values(np.array(self.shape(image))[None])[0]

    def values(self, pixels: NDArray[np.uint8]) -> Tensor:
        """As timm's own steps do it image by image, to the bit; channels last in memory, as images are."""
        rows = torch.from_numpy(pixels if pixels.ndim == 4 else pixels[..., None])
        return rows.permute(0, 3, 1, 2).float().div_(255).sub_(self._mean).div_(self._deviation)


class _Forward:
    """One pass through the backbone; the head is applied to what comes out of it."""

    def __init__(self, module: Any, *, classifies: bool) -> None:
        self._module = module
        self._classifies = classifies
        self._positions = _positions(module)

    def __call__(self, pixels: Tensor) -> ForwardOutput:
        hidden = self._module.forward_features(pixels)
        # The architecture's own head, not its classifier layer: some have two, or convolve before they classify.
        logits = self._module.forward_head(hidden) if self._classifies else None
        before = self._module.forward_head(hidden, pre_logits=True)
        return ForwardOutput(self._positions.pool(before, self._positions.default), logits)

    @property
    def pooling(self) -> str:
        """What is read of an output with positions of its own."""
        return "the class token" if self._positions.class_token else "the mean over positions"

    def pre_logits(self, pixels: Tensor) -> Tensor:
        """What the architecture's own head makes of images, without its classifier."""
        hidden: Tensor = self._module.forward_head(self._module.forward_features(pixels), pre_logits=True)
        return hidden


class _AtLayer:
    """Reads the output of layers, or of the last one with another pooling; the head is not applied."""

    def __init__(self, module: Any, layers: list[nn.Module], how: ImagePooling) -> None:
        self._module = module
        self._layers = layers
        self._how = how
        self._positions = _positions(module)
        if how.pooling == "cls" and not self._positions.class_token:
            raise CheckpointUnreadable("it has no class token")

    def __call__(self, pixels: Tensor) -> ForwardOutput:
        def run() -> Tensor:
            hidden: Tensor = self._module.forward_features(pixels)
            return hidden

        if self._layers:
            return ForwardOutput(features_at_layers(self._layers, run, self._positions, self._how), None)
        return ForwardOutput(self._positions.pool(run(), self._how.pooling or self._positions.default), None)


def _at_layer(module: Any, example: Tensor, how: ImagePooling) -> _Forward | _AtLayer:
    """Reads at a layer; what closes a stack of blocks stays behind those that are kept where it fits."""
    names = timm_layers({name: tuple(value.shape) for name, value in module.state_dict().items()})
    layers = [module.get_submodule(name) for name in names]
    if not isinstance(how.layer, int):
        return _AtLayer(module, layers if how.layer == "mean" else [], how)
    held = stack_of(module, len(layers))
    if held is not None and how.layer < len(layers):
        owner, name = held
        whole = getattr(owner, name)
        setattr(owner, name, whole[: how.layer])
        try:
            _Forward(module, classifies=False)(example)
        except Exception:  # what follows expects another width: a stage, which is read as it is
            setattr(owner, name, whole)
            return _AtLayer(module, layers[: how.layer], how)
    elif held is None:
        return _AtLayer(module, layers[: how.layer], how)
    return _Forward(module, classifies=False) if how.pooling is None else _AtLayer(module, [], how)


def _positions(module: Any) -> Positions:
    width = int(module.num_features)
    rows_first = getattr(module, "output_fmt", "NCHW") == "NHWC"
    widths = [width // 2**stage for stage in range(5)] if rows_first else []
    return Positions(module, widths, prefix=int(getattr(module, "num_prefix_tokens", 0)))


def _classifies(module: Any) -> bool:
    """Whether the head tells classes apart.

    Image encoders of contrastive pairs keep their projection into the joint space where a classifier would be, until
    they are fine-tuned (`_ft_` in timm's tags).
    """
    stated = module.pretrained_cfg
    name = f"{stated.get('architecture', '')}.{stated.get('tag', '')}"
    projects = any(kind in name for kind in ("clip", "pe_core")) and "_ft_" not in name
    return module.num_classes > 1 and not projects
