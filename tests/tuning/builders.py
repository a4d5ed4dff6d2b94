"""Small images, small checkpoints and small trainings, all made by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from frontrunner.data import DatasetOptions, check_dataset, open_dataset
from frontrunner.data.reference import DatasetReference
from frontrunner.hub import CheckpointDescription, describe_directory
from frontrunner.tuning import TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.training.loop import Schedule
from frontrunner.tuning.training.method import Method, RateGroup
from tests.conftest import encode, write_timm_checkpoint, write_zip

SIDE = 32


def measured_checkpoint(
    folder: Path, architecture: str, seed: int, classes: int = 10, side: int = SIDE
) -> CheckpointDescription:
    """A checkpoint of random weights whose running statistics were measured, as those of a trained one are."""
    from safetensors.torch import load_file, save_file

    write_timm_checkpoint(folder, architecture, seed, side=side, classes=classes)
    module: Any = timm.create_model(architecture, num_classes=classes)
    module.load_state_dict(load_file(folder / "model.safetensors"))
    module.train()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _ in range(20):
            module(torch.randn(16, 3, side, side, generator=generator))
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, folder / "model.safetensors")
    return describe_directory(folder)


def coloured_images(n: int, classes: int = 3, seed: int = 0, size: int = SIDE) -> Images:
    """n images whose class is a colour under noise, classes in turn."""
    pixels, labels = coloured_pixels(n, classes, seed, round(size / 0.875))
    return Images(pixels, torch.from_numpy(labels), size)


def coloured_pixels(n: int, classes: int, seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    colours = np.random.default_rng(100).uniform(40, 215, size=(classes, 3, 1, 1))
    labels = np.arange(n) % classes
    noise = np.random.default_rng(seed).normal(0, 30, size=(n, 3, side, side))
    return np.clip(colours[labels] + noise, 0, 255).astype(np.uint8), labels


def coloured_zip(path: Path, train: int, test: int, classes: int = 3, seed: int = 0) -> Path:
    """The same as a zip of `train` and `test` folders."""
    files = {}
    for split, n in (("train", train), ("test", test)):
        pixels, labels = coloured_pixels(n, classes, seed + len(split), SIDE)
        for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            files[f"{split}/class-{label}/{index:04d}.png"] = encode(image.transpose(1, 2, 0))
    return write_zip(path, files)


def reference(path: Path) -> DatasetReference:
    return DatasetReference.of(path, check_dataset(open_dataset(path)), DatasetOptions())


def order(
    method: Any,
    data: Path,
    student: CheckpointDescription | None,
    teachers: tuple[CheckpointDescription, ...],
    folder: Path,
    source: Path | None = None,
    **options: Any,
) -> TuningPayload:
    """An order of a short tuning."""
    request = TuningRequest.model_validate(
        {
            "method": method,
            "student": student.id if student else None,
            "teachers": [teacher.id for teacher in teachers],
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.003,
            "onnx": False,
            # Networks of random weights have no pretraining that is worth holding, and diverge when it is held.
            "hold_statistics": False,
            **options,
        }
    )
    known = {found.id: found for found in (*([student] if student else []), *teachers)}
    return tuning_payload(request, reference(data), known, folder, reference(source) if source else None)


def material(
    options: Any,
    folder: Path,
    images: Images,
    student: CheckpointDescription | None = None,
    teachers: tuple[CheckpointDescription, ...] = (),
    classes: int = 3,
) -> TuningContext:
    return TuningContext(options, student, teachers, classes, images, seed=0, folder=folder)


def plan(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "micro_batch": 8,
        "learning_rate": 0.01,
        "patience": 5,
        "seed": 0,
    }
    return Schedule(**(values | changes))


class Linear(nn.Module):
    """The mean colour of an image through one linear map: a network without surprises."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.map = nn.Linear(3, classes)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        answered: torch.Tensor = self.map(pixels.mean(dim=(2, 3)))
        return answered


def linear_method(loss: Any, rate: float = 1.0) -> tuple[Linear, Method]:
    """A method around `Linear` with any loss of (module, batch)."""
    module = Linear()
    group = RateGroup(list(module.parameters()), rate, 0.0)
    return module, Method(module, [group], lambda batch: loss(module, batch), module, dict)
