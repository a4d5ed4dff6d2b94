"""From a payload's datasets to examples: which are trained on, which decide when to stop, which are reported on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from frontrunner.data import Dataset, DatasetReference, ImageInputs, Split
from frontrunner.data.dataset import TextInputs
from frontrunner.data.previews import Preview, preview_of
from frontrunner.errors import InvalidDataset, ModalityMismatch, SourceUnfit
from frontrunner.progress import SILENT, Progress
from frontrunner.tuning.examples.examples import Examples, labelled_texts
from frontrunner.tuning.examples.images import decode_images
from frontrunner.tuning.examples.splits import split_training
from frontrunner.tuning.request import TuningPayload, require_tunable
from frontrunner.tuning.training.loop import TrainingData

DEFAULT_IMAGE_SIZE = 224


@dataclass(frozen=True)
class Prepared:
    """The examples of a tuning and what they are called.

    Attributes:
        data: what training sees.
        report: what the tuned model is measured on.
        report_split: where these come from.
        classes: names by code.
        preview: one of the examples that are reported on, as a person sees it, by its position.
    """

    data: TrainingData
    report: Examples
    report_split: Literal["test", "validation"]
    classes: tuple[str, ...]
    preview: Callable[[int], Preview]


def prepare(payload: TuningPayload, progress: Progress = SILENT, shared: Path | None = None) -> Prepared:
    """Open and decode what a payload names; images that are decoded stay in its folder, or in a shared one.

    Args:
        payload: the tuning.
        progress: hears of images that are decoded.
        shared: a folder of tunings of the same examples; they report on the validation split.

    Raises:
        InvalidDataset: nothing can be tuned or reported on.
        TooFewExamples: fewer than two classes to train on.
        ModalityMismatch: it holds not what the checkpoints read.
        SourceUnfit: source and target name other classes.
    """
    request = payload.request
    target = _open(payload.dataset, payload)
    labelled = target if payload.source is None else _open(payload.source, payload)
    if labelled.classes != target.classes:
        raise SourceUnfit(
            f"{labelled.name} has the classes {', '.join(labelled.classes[:5])}..., {target.name} has "
            f"{', '.join(target.classes[:5])}...: source and target must name the same classes"
        )
    rows, held = split_training(
        labelled.train, max_examples=request.max_examples, validation_share=request.validation_share, seed=request.seed
    )
    has_test = len(target.test) > 0 and shared is None
    if not has_test and not len(held):
        raise InvalidDataset(
            f"{target.name} has no test split and nothing is kept for validation: nothing to report on"
        )

    def read(dataset: Dataset, split: Split, what: str) -> Examples:
        if isinstance(dataset.inputs, TextInputs):
            return labelled_texts(dataset.inputs, split)
        assert isinstance(dataset.inputs, ImageInputs)  # noqa: S101 - `require_tunable` refuses others
        size = request.image_size or payload.checkpoints[0].input_size or DEFAULT_IMAGE_SIZE
        path = (shared or payload.work_dir) / f"{what}-{size}.npy"
        return decode_images(dataset.inputs, split, size, path, progress, of=f"{dataset.name} {what}")

    training = read(labelled, labelled.train.take(rows), "train")
    validation = read(labelled, labelled.train.take(held), "validation") if len(held) else None
    unlabelled = None
    if payload.source is not None:
        every = np.random.default_rng(request.seed).permutation(len(target.train))[: request.max_examples]
        unlabelled = read(target, target.train.take(np.sort(every)), "unlabelled")
    data = TrainingData(training, validation, unlabelled)
    if has_test:
        preview = partial(preview_of, target, target.test)
        return Prepared(data, read(target, target.test, "test"), "test", target.classes, preview)
    assert validation is not None  # noqa: S101 - refused above
    preview = partial(preview_of, labelled, labelled.train.take(held))
    return Prepared(data, validation, "validation", target.classes, preview)


def _open(reference: DatasetReference, payload: TuningPayload) -> Dataset:
    opened = reference.open()
    require_tunable(opened, payload.request.method)
    if opened.modality != payload.modality:
        raise ModalityMismatch(
            f"{reference.name} holds {opened.modality} examples; the checkpoints read {payload.modality}"
        )
    return opened
