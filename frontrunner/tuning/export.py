"""Tuned models in the hub's own form, so that they can be ranked, tuned again, or served by timm."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable
from frontrunner.files import whole_file
from frontrunner.hub import describe_directory
from frontrunner.hub.opening import open_checkpoint
from frontrunner.tuning.classifier import Classifier, Normalise
from frontrunner.tuning.images import VIEW_SHARE

_PARITY = 1e-4


def write_model(
    model: Classifier, folder: Path, classes: Sequence[str], image_size: int, provenance: dict[str, object]
) -> None:
    """`config.json` and `model.safetensors` of one tuned model; replaces what lies in `folder`.

    The folder is opened again as any checkpoint is, and must answer as the model does.

    Args:
        model: in evaluation mode, on the CPU.
        folder: its name becomes the checkpoint's.
        classes: names of the outputs.
        image_size: pixels a side that it was trained with.
        provenance: where it comes from; `license` and `pretraining_dataset` are what a catalogue shows.

    Raises:
        CheckpointUnreadable: the written files answer otherwise than the model.
    """
    partial = folder.with_name(f".{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True)
    try:
        save_for_hf(
            model.network,
            str(partial),
            safe_serialization=True,
            model_config={"label_names": list(classes), "provenance": provenance},
            data_config={
                "input_size": (3, image_size, image_size),
                "mean": tuple(model.normalise.mean.flatten().tolist()),
                "std": tuple(model.normalise.deviation.flatten().tolist()),
                "interpolation": "bilinear",
                "crop_pct": VIEW_SHARE,
                "crop_mode": "center",
            },
        )
        _require_parity(model, partial, image_size)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """A safetensors file, written whole or not at all."""
    with whole_file(path) as file:
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, file.name)


def _require_parity(model: Classifier, folder: Path, image_size: int) -> None:
    opened = open_checkpoint(describe_directory(folder))
    normalise = Normalise.of(opened)
    pixels = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, answered = model.eval()(pixels), opened.module(normalise(pixels))
    difference = float((answered - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    if not difference <= _PARITY:
        raise CheckpointUnreadable(
            f"{model.description.architecture}: the written checkpoint answers otherwise than the tuned model, by "
            f"{difference:.1e} of the largest logit"
        )
