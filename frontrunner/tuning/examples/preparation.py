"""From an order's datasets to examples: which are trained on, which decide when to stop, which are reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frontrunner.data import Dataset
from frontrunner.data.dataset import TextInputs
from frontrunner.data.reference import DatasetReference
from frontrunner.errors import InvalidDataset, ModalityMismatch, SourceUnfit
from frontrunner.tuning.examples.examples import Examples, labelled_texts
from frontrunner.tuning.examples.images import decode_images
from frontrunner.tuning.examples.splits import split_training
from frontrunner.tuning.options import ADAPTATION
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.training.loop import TrainingData

DEFAULT_IMAGE_SIZE = 224


@dataclass(frozen=True)
class Prepared:
    """The examples of a tuning and what they are called."""

    data: TrainingData
    report: Examples
    report_split: Literal["test", "validation"]
    classes: tuple[str, ...]


def prepare(order: TuningPayload, on_progress: Callable[[int, int], None]) -> Prepared:
    """Open and decode what an order names; `on_progress` hears (0, images in all) as they are decoded.

    Raises:
        InvalidDataset: nothing can be tuned or reported on.
        TooFewExamples: fewer than two classes to train on.
        ModalityMismatch: it holds not what the checkpoints read.
        SourceUnfit: source and target name other classes.
    """
    request, folder = order.request, order.work_dir
    target = _open(order.dataset, order.modality)
    labelled = target
    if order.request.method.name in ADAPTATION:
        assert order.source is not None  # noqa: S101 - orders of adaptation carry a source
        labelled = _open(order.source, order.modality)
        if labelled.classes != target.classes:
            raise SourceUnfit(
                f"{labelled.name} has the classes {', '.join(labelled.classes[:5])}..., {target.name} has "
                f"{', '.join(target.classes[:5])}...: source and target must name the same classes"
            )
    rows, held = split_training(
        labelled.train, max_examples=request.max_examples, validation_share=request.validation_share, seed=request.seed
    )
    has_test = len(target.test) > 0
    if not has_test and not len(held):
        raise InvalidDataset(
            f"{target.name} has no test split and nothing is kept for validation: nothing to report on"
        )

    def read(dataset: Dataset, what: str, wanted: np.ndarray | None = None) -> Examples:
        split = dataset.test if what == "test" else dataset.train
        chosen = split if wanted is None else split.take(wanted)
        if isinstance(dataset.inputs, TextInputs):
            return labelled_texts(dataset.inputs, chosen)
        size = request.image_size or order.checkpoints[0].input_size or DEFAULT_IMAGE_SIZE
        return decode_images(
            dataset.inputs, chosen, size, folder / f"{what}-{size}.npy", lambda done: on_progress(0, len(chosen))
        )

    training = read(labelled, "train", rows)
    validation = read(labelled, "validation", held) if len(held) else None
    unlabelled = None
    if labelled is not target:
        every = np.random.default_rng(request.seed).permutation(len(target.train))[: request.max_examples]
        unlabelled = read(target, "unlabelled", np.sort(every))
    data = TrainingData(training, validation, unlabelled)
    if has_test:
        return Prepared(data, read(target, "test"), "test", target.classes)
    assert validation is not None  # noqa: S101 - refused above
    return Prepared(data, validation, "validation", target.classes)


def _open(reference: DatasetReference, modality: str) -> Dataset:
    opened = reference.open()
    if opened.modality != modality:
        raise ModalityMismatch(f"{reference.name} holds {opened.modality} examples; the checkpoints read {modality}")
    if opened.task != "classification":
        raise InvalidDataset(f"{reference.name} is a {opened.task} dataset; tuning is for classification")
    return opened
