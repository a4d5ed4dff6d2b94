"""The check of a dataset: what is in it, what cannot be used, and whether anything can be ranked on it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data.dataset import (
    Dataset,
    FeatureInputs,
    ImageInputs,
    Key,
    LeftOut,
    Modality,
    Split,
    Task,
    TextInputs,
    WordInputs,
)
from frontrunner.data.failures import explained
from frontrunner.data.images import decode_image, upright_size
from frontrunner.data.positions import positions_text
from frontrunner.data.previews import Preview, previews_of
from frontrunner.data.suspicions import FEW_EXAMPLES, suspicions
from frontrunner.errors import EmptyDataset, FrontrunnerError, OneClassDataset, UnreadableDataset
from frontrunner.progress import SILENT, Progress, Stage

# A JPEG decoded at this size still reads every byte of its data, so truncation is found, at a fraction of the cost.
_THUMBNAIL = 32
# Lists of a report are cut to these lengths, and counted: a report is a row, and part of answers.
MAX_LISTED = 100
MAX_MEMBERS_LISTED = 20
MAX_CLASSES_LISTED = 2000
MAX_WORDS = 300
# What is left out of a dataset of which nothing remains often says why.
_LEFT_OUT_NAMED = 3


class ClassCount(BaseModel):
    """Examples of one class."""

    name: str
    train: int
    test: int


class UnreadableFile(BaseModel):
    """An input that is left out, and why."""

    key: Key
    reason: str


class Span(BaseModel):
    """Smallest, median and largest of a quantity."""

    smallest: float
    median: float
    largest: float


class FeatureSet(BaseModel):
    """Features that the dataset brings itself, as one checkpoint would give them."""

    name: str
    dimension: int = Field(description="Features an example.")
    bytes: int = Field(description="Size of the whole matrix.")


class DatasetReport(BaseModel):
    """What a check found. Unreadable inputs are left out of every ranking; duplicates are only reported."""

    model_config = ConfigDict(frozen=True)

    digest: str
    name: str
    format: str
    read_as: str = Field(default="", description="What was read as what, on one line.")
    modality: Modality
    task: Task
    train_examples: int
    test_examples: int
    train_sentences: int = Field(
        default=0,
        exclude_if=lambda sentences: not sentences,
        description="Sentences of the training examples, where these are words; left out where they are not.",
    )
    test_sentences: int = Field(
        default=0, exclude_if=lambda sentences: not sentences, description="The same of the test examples."
    )
    class_count: int = Field(default=0, description="0 for regression.")
    classes: list[ClassCount] = Field(description="Empty for regression; of more than 2,000 the largest.")
    target_count: int = Field(default=0, description="0 for classification.")
    targets: dict[str, Span] = Field(
        description="Per target, over the training split; empty for classification; the first 2,000."
    )
    bytes: int = Field(description="Size of all readable inputs, unpacked.")
    widths: Span | None = Field(description="Pixels, images only.")
    heights: Span | None = Field(description="Pixels, images only.")
    lengths: Span | None = Field(description="Characters, texts only.")
    feature_sets: list[FeatureSet] = Field(description="Empty for images and texts.")
    unreadable_count: int = 0
    unreadable: list[UnreadableFile] = Field(description="The first hundred.")
    unreadable_positions: str = Field(
        default="",
        description="All of them: a bit for each example, training examples first, packed, deflated, in base 64.",
    )
    left_out: list[LeftOut] = Field(
        default=[], description="Files and rows that are no examples, and why; the first hundred kinds."
    )
    duplicates: list[list[Key]] = Field(
        description="Groups of inputs with the same bytes; twenty of each of the first hundred groups."
    )
    duplicate_groups: int
    leaked_duplicates: int = Field(description="Groups with members in both splits: test figures would flatter.")
    single_example_classes: list[str] = Field(description="The first hundred.")
    warnings: list[str]
    previews: list[Preview] = Field(
        default=[],
        exclude_if=lambda previews: not previews,
        description="A few training examples, of every class in turn; only where a service has checked.",
    )

    @property
    def of_words(self) -> bool:
        """Whether an example is a word of a sentence."""
        return self.train_sentences > 0


@dataclass
class _Survey:
    """What one pass over the inputs collects."""

    bytes: int = 0
    unreadable: list[UnreadableFile] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sizes: list[tuple[int, ...]] = field(default_factory=list)
    by_digest: dict[str, list[tuple[Key, str]]] = field(default_factory=dict)


def check_dataset(dataset: Dataset, progress: Progress = SILENT, previews: int = 0) -> DatasetReport:
    """Read every input once and say what is there.

    Args:
        dataset: to be read.
        progress: hears of inputs that were read.
        previews: how many examples the report is to show.

    Raises:
        EmptyDataset: no readable example is left in the training split.
        OneClassDataset: the readable training examples are all of one class, or their targets all equal.
    """
    survey = _survey(dataset, progress)
    left_out = np.zeros(len(dataset.train) + len(dataset.test), dtype=np.bool_)
    left_out[survey.positions] = True
    usable = dataset.without(left_out)
    if not len(usable.train):
        first = f"; the first: {survey.unreadable[0].reason}" if survey.unreadable else ""
        passed_over = "".join(
            f"; left out: {entry.sentence}" for entry in dataset.interpretation.left_out[:_LEFT_OUT_NAMED]
        )
        raise EmptyDataset(f"{dataset.name} has no readable training example{first}{passed_over}")
    classes = _class_counts(usable)
    _require_something_to_learn(usable, classes)

    groups = [members for members in survey.by_digest.values() if len(members) > 1]
    leaked = sum(len({split for _, split in members}) > 1 for members in groups)
    single = [c.name for c in classes if c.train == 1]
    spans = [_span(column) for column in zip(*survey.sizes, strict=True)] if survey.sizes else []
    is_image = isinstance(dataset.inputs, ImageInputs)
    return DatasetReport(
        digest=dataset.digest,
        name=dataset.name,
        format=dataset.format,
        modality=dataset.modality,
        task=dataset.task,
        train_examples=len(usable.train),
        test_examples=len(usable.test),
        train_sentences=_sentences(usable.train),
        test_sentences=_sentences(usable.test),
        class_count=len(classes),
        classes=_largest(classes),
        target_count=len(dataset.classes) if dataset.task == "regression" else 0,
        targets=_target_spans(usable),
        bytes=survey.bytes,
        widths=spans[0] if is_image else None,
        heights=spans[1] if is_image else None,
        lengths=spans[0] if isinstance(dataset.inputs, (TextInputs, WordInputs)) else None,
        feature_sets=_feature_sets(dataset),
        read_as=dataset.interpretation.sentence,
        unreadable_count=len(survey.positions),
        unreadable=survey.unreadable,
        unreadable_positions=positions_text(left_out),
        left_out=list(dataset.interpretation.left_out[:MAX_LISTED]),
        duplicates=[[_short(key) for key, _ in members[:MAX_MEMBERS_LISTED]] for members in groups[:MAX_LISTED]],
        duplicate_groups=len(groups),
        leaked_duplicates=leaked,
        single_example_classes=[name[:MAX_WORDS] for name in single[:MAX_LISTED]],
        warnings=[
            str(_short(said)) for said in _warnings(usable, survey, len(groups), leaked, single, classes)[:MAX_LISTED]
        ],
        previews=previews_of(usable, previews) if previews else [],
    )


def _survey(dataset: Dataset, progress: Progress) -> _Survey:
    survey = _Survey()
    total = len(dataset.train) + len(dataset.test)
    done = 0
    for split_name, split in (("train", dataset.train), ("test", dataset.test)):
        for key, shown in _surveyed(split):
            try:
                with explained(f"{key} of {dataset.name}"):
                    data = dataset.inputs.read(key)
                    survey.sizes.append(_size(dataset, data, key))
            except FrontrunnerError as error:  # one bad input never ends a check
                survey.positions.append(done)
                if len(survey.unreadable) < MAX_LISTED:
                    survey.unreadable.append(UnreadableFile(key=_short(shown), reason=str(_short(error.reason))))
            else:
                survey.bytes += len(data)
                survey.by_digest.setdefault(hashlib.sha256(data).hexdigest(), []).append((shown, split_name))
            done += 1
            if done % 64 == 0:
                progress.advance(Stage.CHECK, done, total, of=dataset.name)
                progress.safe_point()
    progress.advance(Stage.CHECK, total, total, of=dataset.name)
    progress.safe_point()
    return survey


def _surveyed(split: Split) -> Iterator[tuple[Key, Key]]:
    """What is read of a split, and what a person calls it: every example, of words one for each sentence."""
    if split.clusters is None:
        yield from zip(split.keys, split.keys, strict=True)
        return
    sentences, first = np.unique(split.clusters, return_index=True)
    for sentence, place in zip(sentences.tolist(), first.tolist(), strict=True):
        yield split.keys[place], sentence


def _sentences(split: Split) -> int:
    return 0 if split.clusters is None else int(np.unique(split.clusters).size)


def _size(dataset: Dataset, data: bytes, key: Key) -> tuple[int, ...]:
    if isinstance(dataset.inputs, ImageInputs):
        return image_size(data, str(key))
    if isinstance(dataset.inputs, TextInputs):
        if not data.strip():
            raise UnreadableDataset(f"row {key} is an empty text")
        return (len(data.decode()),)
    if isinstance(dataset.inputs, WordInputs):
        return (len(" ".join(dataset.inputs.sentence(dataset.inputs.place(key)[0]))),)
    for name, matrix in dataset.inputs.sets.items():
        if not np.isfinite(matrix[int(key)]).all():
            raise UnreadableDataset(f"row {key} of '{name}' holds NaN or infinity")
    return (0,)


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """(width, height) in pixels, after reading the image's data to its end.

    Raises:
        UnreadableDataset: it cannot be decoded.
    """
    decode_image(data, name, thumbnail=_THUMBNAIL)
    return upright_size(data)


def _feature_sets(dataset: Dataset) -> list[FeatureSet]:
    if not isinstance(dataset.inputs, FeatureInputs):
        return []
    return [
        FeatureSet(name=name, dimension=matrix.shape[1], bytes=matrix.nbytes)
        for name, matrix in dataset.inputs.sets.items()
    ]


def _class_counts(dataset: Dataset) -> list[ClassCount]:
    if dataset.task == "regression":
        return []

    def counts(split: Split) -> list[int]:
        if split.labels is not None:
            return [int(count) for count in np.bincount(split.labels, minlength=len(dataset.classes))]
        if split.targets is not None:
            return [int(count) for count in split.targets.sum(axis=0)]
        return [0] * len(dataset.classes)

    return [
        ClassCount(name=name, train=train, test=test)
        for name, train, test in zip(dataset.classes, counts(dataset.train), counts(dataset.test), strict=True)
    ]


def _require_something_to_learn(dataset: Dataset, classes: list[ClassCount]) -> None:
    if dataset.train.targets is not None:
        if not np.ptp(dataset.train.targets, axis=0).any():
            raise OneClassDataset(f"{dataset.name}: the targets are equal for every training example")
        return
    present = [c for c in classes if c.train]
    if len(present) < 2:
        raise OneClassDataset(
            f"{dataset.name} has only one class, '{present[0].name}', in its training split; two are needed to rank"
        )


def _target_spans(dataset: Dataset) -> dict[str, Span]:
    if dataset.task != "regression" or dataset.train.targets is None:
        return {}
    named = zip(dataset.classes, dataset.train.targets.T, strict=True)
    return {name[:MAX_WORDS]: _span(column) for name, column in itertools.islice(named, MAX_CLASSES_LISTED)}


def _largest(classes: list[ClassCount]) -> list[ClassCount]:
    """The classes that are listed, in their own order."""
    if len(classes) > MAX_CLASSES_LISTED:
        largest = sorted(range(len(classes)), key=lambda code: -classes[code].train)[:MAX_CLASSES_LISTED]
        classes = [classes[code] for code in sorted(largest)]
    return [ClassCount(name=c.name[:MAX_WORDS], train=c.train, test=c.test) for c in classes]


def _short(said: Key) -> Key:
    return said if isinstance(said, int) or len(said) <= MAX_WORDS else f"{said[:MAX_WORDS]}..."


def _span(values: Any) -> Span:
    array = np.asarray(values, dtype=np.float64)
    return Span(smallest=float(array.min()), median=float(np.median(array)), largest=float(array.max()))


def _warnings(
    dataset: Dataset, survey: _Survey, groups: int, leaked: int, single: list[str], classes: list[ClassCount]
) -> list[str]:
    absent = [c.name for c in classes if not c.train]
    n = _sentences(dataset.train) or len(dataset.train)
    what = "training examples" if dataset.train.clusters is None else "training sentences"
    said = [
        (survey.positions, f"{len(survey.positions)} unreadable inputs are left out"),
        (groups, f"{groups} groups of inputs have the same bytes"),
        (leaked, f"{leaked} of these groups lie in both splits: test figures would flatter"),
        (single, f"{len(single)} classes have one training example"),
        (absent, f"{len(absent)} classes have no training example and are not scored"),
        (n < FEW_EXAMPLES, f"only {n} {what}: expect wide intervals"),
    ]
    counted = [(c.name, c.train) for c in classes] if dataset.task == "classification" else []
    found = [sentence for holds, sentence in said if holds]
    left_out = [f"left out: {entry.sentence}" for entry in dataset.interpretation.left_out]
    return list(dict.fromkeys((*found, *dataset.interpretation.warnings, *suspicions(counted), *left_out)))
