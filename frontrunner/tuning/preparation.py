"""From an order's datasets to images: which are trained on, which decide when to stop, which are reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frontrunner.data import Dataset
from frontrunner.errors import InvalidDataset, SourceUnfit
from frontrunner.ranking.request import DatasetReference
from frontrunner.tuning.images import Images, decode_images
from frontrunner.tuning.loop import TrainingData
from frontrunner.tuning.options import ADAPTATION
from frontrunner.tuning.request import TuningOrder
from frontrunner.tuning.splits import split_training

DEFAULT_IMAGE_SIZE = 224


@dataclass(frozen=True)
class Prepared:
    """The images of a tuning and what they are called."""

    data: TrainingData
    report: Images
    report_split: Literal["test", "validation"]
    classes: tuple[str, ...]


def prepare(order: TuningOrder, on_progress: Callable[[int, int], None]) -> Prepared:
    """Open and decode what an order names; `on_progress` hears (0, images in all) as they are decoded.

    Raises:
        InvalidDataset: nothing can be tuned or reported on.
        TooFewExamples: fewer than two classes to train on.
        ModalityMismatch: it holds no images.
        SourceUnfit: source and target name other classes.
    """
    request, folder = order.request, order.work_dir
    target = _open(order.dataset)
    size = request.image_size or (order.student or order.teachers[0]).input_size or DEFAULT_IMAGE_SIZE
    labelled = target
    if order.request.method.name in ADAPTATION:
        assert order.source is not None  # noqa: S101 - orders of adaptation carry a source
        labelled = _open(order.source)
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

    def decode(dataset: Dataset, what: str, wanted: np.ndarray | None = None) -> Images:
        split = dataset.test if what == "test" else dataset.train
        chosen = split if wanted is None else split.take(wanted)
        return decode_images(
            dataset.inputs, chosen, size, folder / f"{what}-{size}.npy", lambda done: on_progress(0, len(chosen))
        )

    training = decode(labelled, "train", rows)
    validation = decode(labelled, "validation", held) if len(held) else None
    unlabelled = None
    if labelled is not target:
        every = np.random.default_rng(request.seed).permutation(len(target.train))[: request.max_examples]
        unlabelled = decode(target, "unlabelled", np.sort(every))
    data = TrainingData(training, validation, unlabelled)
    if has_test:
        return Prepared(data, decode(target, "test"), "test", target.classes)
    assert validation is not None  # noqa: S101 - refused above
    return Prepared(data, validation, "validation", target.classes)


def _open(reference: DatasetReference) -> Dataset:
    opened = reference.open()
    if opened.task != "classification":
        raise InvalidDataset(f"{reference.name} is a {opened.task} dataset; tuning is for classification")
    return opened
