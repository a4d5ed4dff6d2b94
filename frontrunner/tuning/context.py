"""What methods are built from: checkpoints to open, training examples, and what checkpoints say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frontrunner.errors import FeaturesNotFinite
from frontrunner.extraction.cache import Extracted
from frontrunner.files import whole_file
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.tuning.examples.examples import Examples, LabelledTexts
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.networks.image_classifier import ImageClassifier, Normalise, open_image_classifier, open_timm
from frontrunner.tuning.networks.text_classifier import open_text_classifier
from frontrunner.tuning.options import MethodOptions

_READ_AT_ONCE = 32


@dataclass(frozen=True)
class TuningContext:
    """Everything that a method may ask for.

    Attributes:
        options: the method's name and numbers.
        student: what is tuned, or None.
        teachers: what it learns from.
        classes: C of the target.
        train: the examples that are trained on, validation left out.
        seed: of new weights and of samples.
        folder: what checkpoints say of the examples is kept there.
        hold_statistics: normalisation layers keep the statistics of pretraining.
        on_read: hears how many examples a checkpoint has read.
    """

    options: MethodOptions
    student: CheckpointDescription | None
    teachers: tuple[CheckpointDescription, ...]
    classes: int
    train: Examples
    seed: int
    folder: Path
    hold_statistics: bool = False
    on_read: Callable[[int], None] = lambda done: None

    @property
    def images(self) -> Images:
        """The training examples, of methods that are for images alone."""
        assert isinstance(self.train, Images)  # noqa: S101 - orders refuse such methods for anything else
        return self.train

    def open_student(self) -> Classifier:
        """The student with a new head."""
        assert self.student is not None  # noqa: S101 - orders of methods with a student carry one
        return self._open(self.student, 0)

    def open_teachers(self) -> list[Classifier]:
        """The teachers, each with a new head of its own."""
        return [self._open(teacher, place) for place, teacher in enumerate(self.teachers)]

    def open_image_teachers(self) -> list[ImageClassifier]:
        """The same, of methods that are for images alone."""
        return [self._open_image(teacher, place) for place, teacher in enumerate(self.teachers)]

    def _open(self, description: CheckpointDescription, place: int) -> Classifier:
        if description.modality == "text":
            return open_text_classifier(description, self.classes, self.seed, place=place)
        return self._open_image(description, place)

    def _open_image(self, description: CheckpointDescription, place: int) -> ImageClassifier:
        return open_image_classifier(
            description,
            self.classes,
            self.images.image_size,
            self.seed,
            place=place,
            hold_statistics=self.hold_statistics,
        )

    def feature_dimension(self, classifier: Classifier) -> int:
        """D of a classifier's features."""
        with torch.inference_mode():
            return classifier.features(self.train.plain(torch.zeros(1, dtype=torch.long))).shape[1]

    def readings(self, checkpoint: CheckpointDescription) -> Extracted:
        """What a checkpoint, as pretrained, says of the plain view of every training example; read once and kept.

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
        return self.images.take(np.sort(chosen))

    def with_train(self, train: Examples) -> TuningContext:
        """The same with other training images."""
        return replace(self, train=train)


def read_plain(
    checkpoint: CheckpointDescription, examples: Examples, on_read: Callable[[int], None] = lambda done: None
) -> Extracted:
    """One pass of a checkpoint of any library over the plain views, in evaluation mode.

    Raises:
        CheckpointError: it cannot be opened.
        FeaturesNotFinite: what it says is not finite.
    """
    opened, batches = _reader(checkpoint, examples)
    features: list[Tensor] = []
    answers: list[Tensor] = []
    read: list[int] = []
    with torch.inference_mode():
        for rows, inputs in batches:
            output = opened.forward(inputs)
            features.append(output.features.float())
            if output.source_logits is not None:
                answers.append(output.source_logits.float().softmax(dim=1))
            read += rows
            on_read(len(read))
    in_order = np.argsort(read)
    found = torch.cat(features).numpy()[in_order]
    if not np.isfinite(found).all():
        raise FeaturesNotFinite(f"{checkpoint.id} gives features that are NaN or infinite")
    return Extracted(found, torch.cat(answers).numpy()[in_order] if answers else None)


def _reader(
    checkpoint: CheckpointDescription, examples: Examples
) -> tuple[Checkpoint, Iterator[tuple[Sequence[int], Any]]]:
    """The opened checkpoint, and batches as it takes them: which rows, and its inputs."""
    if isinstance(examples, LabelledTexts):
        opened = open_checkpoint(checkpoint)
        return opened, opened.preparation.batches(examples.inputs, range(len(examples)), torch.device("cpu"))
    assert isinstance(examples, Images)  # noqa: S101 - there are these two
    timm_form = checkpoint.library == "timm" and not checkpoint.path.endswith(".zip")
    opened = open_timm(checkpoint, examples.image_size) if timm_form else open_checkpoint(checkpoint)
    normalise = Normalise.of(opened)
    pieces = torch.split(torch.arange(len(examples)), _READ_AT_ONCE)
    return opened, ((rows.tolist(), normalise(examples.plain(rows))) for rows in pieces)
