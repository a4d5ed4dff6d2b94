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
from frontrunner.hub import CheckpointDescription, HubAccess, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Event, Silent, Stage
from frontrunner.settings import Settings
from frontrunner.tuning import METHODS, TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.examples import Examples
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.networks import new_heads
from frontrunner.tuning.networks.classifier import NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier
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


def payload(
    method: Any,
    data: Path,
    student: CheckpointDescription | None,
    teachers: tuple[CheckpointDescription, ...],
    folder: Path,
    source: Path | None = None,
    **options: Any,
) -> TuningPayload:
    """The payload of a short tuning."""
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


def payload_for(
    name: str, data: Path, checkpoints: tuple[CheckpointDescription, ...], folder: Path, **options: Any
) -> TuningPayload:
    """The same for any method, with the roles among the checkpoints that it asks for; a source is the target itself."""
    method = METHODS[name]
    student = None if method.made_of_teachers else checkpoints[0]
    teachers = checkpoints if method.teachers_needed else ()
    return payload(name, data, student, teachers, folder, data if method.needs_source else None, **options)


def context(
    options: Any,
    folder: Path,
    train: Examples,
    student: CheckpointDescription | None = None,
    teachers: tuple[CheckpointDescription, ...] = (),
    **more: Any,
) -> TuningContext[Any]:
    """What a method of three classes is built from."""
    access = HubAccess.of(Settings(home=folder / "home"))
    return TuningContext(options, student, teachers, 3, train, seed=0, folder=folder, access=access, **more)


def image_classifier(
    description: CheckpointDescription, seed: int = 0, place: int = 0, side: int = SIDE, hold_statistics: bool = False
) -> ImageClassifier:
    """A checkpoint with a new head of three classes."""
    head = NewHead(3, seed, place)
    return new_heads.image_classifier(open_checkpoint(description), head, side, hold_statistics=hold_statistics)


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "micro_batch": 8,
        "learning_rate": 0.01,
        "patience": 5,
        "seed": 0,
    }
    return Schedule(**(values | changes))


class Recorded(Silent):
    """Keeps what it hears.

    Attributes:
        advances: (stage, done, total, of) of each report.
        events: all of them.
    """

    def __init__(self) -> None:
        self.advances: list[tuple[Stage, int, int, str]] = []
        self.events: list[Event] = []

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        self.advances.append((stage, done, total, of))

    def event(self, event: Event) -> None:
        self.events.append(event)

    def counts(self, stage: Stage) -> list[tuple[int, int]]:
        """(done, total) of each report of one stage."""
        return [(done, total) for reported, done, total, _ in self.advances if reported == stage]


class Stopped(BaseException):
    """What a supervised process is stopped by."""


class StoppedAt(Recorded):
    """Stops the work at a safe point: the `place`-th one after a report of `stage`, from one on."""

    def __init__(self, stage: Stage, place: int) -> None:
        super().__init__()
        self._stage, self._left = stage, place

    def safe_point(self) -> None:
        if self.advances and self.advances[-1][0] == self._stage:
            self._left -= 1
            if self._left == 0:
                raise Stopped


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
