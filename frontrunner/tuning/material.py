"""What methods are built from: checkpoints to open, training images, and what checkpoints say of these images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frontrunner.errors import FeaturesNotFinite
from frontrunner.extraction.cache import Extracted
from frontrunner.files import whole_file
from frontrunner.hub.description import CheckpointDescription
from frontrunner.hub.opening import open_checkpoint
from frontrunner.tuning.classifier import Classifier, Normalise, open_classifier, open_timm
from frontrunner.tuning.images import Images
from frontrunner.tuning.options import MethodOptions

_READ_AT_ONCE = 32


@dataclass(frozen=True)
class Material:
    """Everything that a method may ask for.

    Attributes:
        options: the method's name and numbers.
        student: what is tuned, or None.
        teachers: what it learns from.
        classes: C of the target.
        train: the images that are trained on, validation left out.
        seed: of new weights and of samples.
        folder: what checkpoints say of the images is kept there.
        hold_statistics: normalisation layers keep the statistics of pretraining.
        on_read: hears how many images a checkpoint has read.
    """

    options: MethodOptions
    student: CheckpointDescription | None
    teachers: tuple[CheckpointDescription, ...]
    classes: int
    train: Images
    seed: int
    folder: Path
    hold_statistics: bool = False
    on_read: Callable[[int], None] = lambda done: None

    @property
    def image_size(self) -> int:
        """S."""
        return self.train.image_size

    def open_student(self) -> Classifier:
        """The student with a new head."""
        assert self.student is not None  # noqa: S101 - orders of methods with a student carry one
        return open_classifier(
            self.student, self.classes, self.image_size, self.seed, hold_statistics=self.hold_statistics
        )

    def open_teachers(self) -> list[Classifier]:
        """The teachers, each with a new head of its own."""
        return [
            open_classifier(
                teacher,
                self.classes,
                self.image_size,
                self.seed,
                place=place,
                hold_statistics=self.hold_statistics,
            )
            for place, teacher in enumerate(self.teachers)
        ]

    def readings(self, checkpoint: CheckpointDescription) -> Extracted:
        """What a checkpoint, as pretrained, says of the plain view of every training image; read once and kept.

        Features (n, D), and its own predicted distribution (n, C_source) where it has a classifier.

        Raises:
            CheckpointError: it cannot be opened.
            FeaturesNotFinite: what it says is not finite.
        """
        path = self.folder / f"readings-{checkpoint.digest[:32]}.npz"
        if not path.is_file():
            extracted = read_plain(checkpoint, self.train, self.on_read)
            arrays = {"features": extracted.features}
            if extracted.source_probabilities is not None:
                arrays["source_probabilities"] = extracted.source_probabilities
            with whole_file(path) as file:
                np.savez(file, allow_pickle=False, **arrays)
        with np.load(path, allow_pickle=False) as stored:
            return Extracted(stored["features"], stored.get("source_probabilities"))

    def sample(self, examples: int) -> Images:
        """At most so many training images, the same for one seed."""
        chosen = np.random.default_rng(self.seed).permutation(len(self.train))[:examples]
        return self.train.take(np.sort(chosen))

    def with_train(self, train: Images) -> Material:
        """The same with other training images."""
        return replace(self, train=train)


def read_plain(
    checkpoint: CheckpointDescription, images: Images, on_read: Callable[[int], None] = lambda done: None
) -> Extracted:
    """One pass of a checkpoint of any library over the plain views, in evaluation mode."""
    timm_form = checkpoint.library == "timm" and not checkpoint.path.endswith(".zip")
    opened = open_timm(checkpoint, images.image_size) if timm_form else open_checkpoint(checkpoint)
    normalise = Normalise.of(opened)
    features: list[Tensor] = []
    answers: list[Tensor] = []
    with torch.inference_mode():
        for rows in torch.split(torch.arange(len(images)), _READ_AT_ONCE):
            reading = opened.forward(normalise(images.plain(rows)))
            features.append(reading.features.float())
            if reading.source_logits is not None:
                answers.append(reading.source_logits.float().softmax(dim=1))
            on_read(int(rows[-1]) + 1)
    found = torch.cat(features).numpy()
    if not np.isfinite(found).all():
        raise FeaturesNotFinite(
            f"{checkpoint.id} gives features that are NaN or infinite at {images.image_size} pixels"
        )
    return Extracted(found, torch.cat(answers).numpy() if answers else None)
