"""What methods are built from: checkpoints to open, training examples, and what checkpoints say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from pydantic import BaseModel

from frontrunner.extraction.cache import Extracted
from frontrunner.files import whole_file
from frontrunner.hub import HubAccess
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import SILENT, Progress
from frontrunner.tuning.examples.examples import Examples
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.networks.classifier import Classifier, NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier, at_size
from frontrunner.tuning.networks.new_heads import image_classifier
from frontrunner.tuning.networks.reading import read_plain
from frontrunner.tuning.networks.text_classifier import TextClassifier

OptionsT_co = TypeVar("OptionsT_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class TuningContext(Generic[OptionsT_co]):
    """Everything that a method may ask for.

    Attributes:
        options: the method's name and numbers.
        student: what is tuned, or None.
        teachers: what it learns from.
        classes: C of the target.
        train: the examples that are trained on, validation left out.
        seed: of new weights and of samples.
        folder: what checkpoints say of the examples is kept there.
        access: how checkpoints that lie on a hub are reached.
        hold_statistics: normalisation layers keep the statistics of pretraining.
        progress: hears of downloads, and how many examples a checkpoint has read.
    """

    options: OptionsT_co
    student: CheckpointDescription | None
    teachers: tuple[CheckpointDescription, ...]
    classes: int
    train: Examples
    seed: int
    folder: Path
    access: HubAccess
    hold_statistics: bool = False
    progress: Progress = SILENT

    @property
    def images(self) -> Images:
        """The training examples, of methods that are for images alone."""
        assert isinstance(self.train, Images)  # noqa: S101 - payloads refuse such methods for anything else
        return self.train

    @property
    def pretrained(self) -> CheckpointDescription:
        """The student as pretrained, of methods that have one."""
        assert self.student is not None  # noqa: S101 - payloads of methods with a student carry one
        return self.student

    def open(self, description: CheckpointDescription) -> Checkpoint:
        """A checkpoint as pretrained.

        Raises:
            CheckpointError: it cannot be opened, or not be reached.
        """
        return open_checkpoint(description, self.access, progress=self.progress)

    def open_at_size(self, description: CheckpointDescription) -> Checkpoint:
        """A checkpoint as pretrained, reading images of the training's size.

        Raises:
            CheckpointError: it cannot be opened, or not be reached.
            StudentUnsupported: it does not read images of that size.
        """
        return at_size(self.open(description), self.images.image_size)

    def open_student(self) -> Classifier:
        """The student with a new head."""
        return self._with_head(self.pretrained, 0)

    def open_teachers(self) -> list[Classifier]:
        """The teachers, each with a new head of its own."""
        return [self._with_head(teacher, place) for place, teacher in enumerate(self.teachers)]

    def open_image_teachers(self) -> list[ImageClassifier]:
        """The same, of methods that are for images alone."""
        return [self._image_classifier(teacher, place) for place, teacher in enumerate(self.teachers)]

    def _with_head(self, description: CheckpointDescription, place: int) -> Classifier:
        if description.modality == "text":
            return TextClassifier.of(self.open(description), NewHead(self.classes, self.seed, place))
        return self._image_classifier(description, place)

    def _image_classifier(self, description: CheckpointDescription, place: int) -> ImageClassifier:
        return image_classifier(
            self.open(description),
            NewHead(self.classes, self.seed, place),
            self.images.image_size,
            hold_statistics=self.hold_statistics,
        )

    def feature_dimension(self, classifier: Classifier) -> int:
        """D of a classifier's features."""
        with torch.inference_mode():
            return classifier.features(self.train.plain(torch.zeros(1, dtype=torch.long))).shape[1]

    def extract(self, checkpoint: CheckpointDescription) -> Extracted:
        """What a checkpoint, as pretrained, says of the plain view of every training example; read once and kept.

        Features (n, D), and its own predicted distribution (n, C_source) where it has a classifier.

        Raises:
            CheckpointError: it cannot be opened, or not be reached.
            FeaturesNotFinite: what it says is not finite.
        """
        path = self.folder / f"extracted-{checkpoint.digest[:32]}.npz"
        if not path.is_file():
            extracted = read_plain(self.open(checkpoint), self.train, self.progress)
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
        return self.images.take(np.sort(chosen))
