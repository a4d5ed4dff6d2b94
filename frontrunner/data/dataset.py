"""What a dataset is once opened: inputs that can be read by key, and what they should predict."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from frontrunner.data.files import Files
from frontrunner.data.images import decode_image

Modality: TypeAlias = Literal["image", "text", "features"]
Task: TypeAlias = Literal["classification", "multi-label", "regression"]
Key: TypeAlias = str | int


class DatasetOptions(BaseModel):
    """How to read a dataset where its layout leaves a choice. Part of the dataset's identity where given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task | None = Field(default=None, description="classification, multi-label or regression; else inferred.")
    label: str | None = Field(
        default=None,
        max_length=2000,
        description="Table column holding the label or target; several with commas between them hold one-hot labels "
        "or several targets.",
    )
    input: str | None = Field(
        default=None,
        max_length=2000,
        description="Table column holding the input, whatever it is; two with a comma between them hold pairs of "
        "texts, several columns of numbers are features.",
    )
    text: str | None = Field(
        default=None,
        max_length=2000,
        description="Table column read as texts; two with a comma between them hold pairs of texts.",
    )
    image: str | None = Field(
        default=None, max_length=200, description="Table column read as images: their names, or their bytes."
    )
    split: str | None = Field(
        default=None,
        max_length=2000,
        description="Table column naming the split; or `none`; or `train=A,B;test=C` with names of folders or files; "
        "or `COLUMN:train=A;test=B` with values of a column.",
    )

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        given = [name for name in ("input", "text", "image") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of input, text and image; given: {' and '.join(given)}")
        return self

    def identity(self, content_digest: str) -> str:
        """SHA-256 that names these bytes read in this way."""
        chosen = self.model_dump(exclude_none=True)
        if not chosen:
            return content_digest
        return hashlib.sha256(f"{content_digest}\n{json.dumps(chosen, sort_keys=True)}".encode()).hexdigest()


@dataclass(frozen=True)
class Split:
    """The examples of one split, in the dataset's own order.

    Attributes:
        keys: (n,) what each input is read by: a file's path or a row's number.
        labels: (n,) class codes into the dataset's `classes`, or None.
        targets: (n, K) real or 0/1 targets, or None.
        clusters: (n,) number of the cluster of each example: those of one cluster were drawn together, and are sampled,
            held out and drawn anew together. Words of one sentence are; None where every example was drawn alone.
    """

    keys: tuple[Key, ...]
    labels: NDArray[np.int64] | None = None
    targets: NDArray[np.float64] | None = None
    clusters: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, indices: NDArray[np.int64]) -> Split:
        """The examples at `indices`, in that order."""
        return Split(
            tuple(self.keys[index] for index in indices),
            None if self.labels is None else self.labels[indices],
            None if self.targets is None else self.targets[indices],
            None if self.clusters is None else self.clusters[indices],
        )


@dataclass(frozen=True)
class ImageInputs:
    """Images by path."""

    files: Files

    def read(self, key: Key) -> bytes:
        """The encoded bytes."""
        return self.files.read(str(key))

    def decode(self, key: Key) -> Image.Image:
        """The image in RGB, at its full size.

        Raises:
            UnreadableDataset: not an image, truncated, or of too many pixels.
        """
        return decode_image(self.read(key), str(key))


@dataclass(frozen=True)
class TextInputs:
    """Texts, or pairs of texts, by row.

    Attributes:
        texts: (n,) the texts, or the first of each pair.
        seconds: (n,) the second of each pair, or None.
    """

    texts: tuple[str, ...]
    seconds: tuple[str, ...] | None = None

    def read(self, key: Key) -> bytes:
        """The text in UTF-8; of a pair both, a line apart."""
        row = int(key)
        return (self.texts[row] if self.seconds is None else f"{self.texts[row]}\n{self.seconds[row]}").encode()


@dataclass(frozen=True)
class WordInputs:
    """Words in their sentences, by the number of the word among all.

    Attributes:
        words: (n,) the words of all sentences, one after the other.
        starts: (s + 1,) the number of each sentence's first word, and n.

    Example:
        >>> inputs = WordInputs.of([["Ada", "sleeps"], ["no"]])
        >>> inputs.place(1), inputs.sentence(0)
        ((0, 1), ('Ada', 'sleeps'))
    """

    words: tuple[str, ...]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, sentences: Sequence[Sequence[str]]) -> WordInputs:
        """The words of sentences."""
        starts = np.cumsum([0, *map(len, sentences)])
        return cls(tuple(word for sentence in sentences for word in sentence), starts)

    def place(self, key: Key) -> tuple[int, int]:
        """The sentence of a word, and its place in it."""
        sentence = int(np.searchsorted(self.starts, int(key), side="right")) - 1
        return sentence, int(key) - int(self.starts[sentence])

    def sentence(self, number: int) -> tuple[str, ...]:
        """The words of a sentence."""
        return self.words[self.starts[number] : self.starts[number + 1]]

    def read(self, key: Key) -> bytes:
        """All that decides what is made of a word: its sentence in UTF-8, a word a line, and its place."""
        sentence, place = self.place(key)
        return "\n".join((*self.sentence(sentence), str(place))).encode()


@dataclass(frozen=True)
class FeatureInputs:
    """Precomputed features: one (n, D) matrix for each feature set, by name."""

    sets: dict[str, NDArray[Any]]

    def read(self, key: Key) -> bytes:
        """The bytes of one row over all sets."""
        return b"".join(matrix[int(key)].tobytes() for matrix in self.sets.values())


class LeftOut(BaseModel):
    """Files or rows that are no examples, and why."""

    model_config = ConfigDict(frozen=True)

    count: int
    what: str = Field(description="What they are, for instance `.heic files` or `rows of test.csv`.")
    reason: str

    @property
    def sentence(self) -> str:
        """How many of what, and why."""
        return f"{self.count} {self.what} ({self.reason})"


@dataclass(frozen=True)
class Interpretation:
    """What was read as what.

    Attributes:
        inputs: what the examples are and where they come from.
        labels: what is predicted and where it comes from.
        splits: what is for training and what for testing.
        left_out: files and rows that are no examples.
        warnings: what looks wrong.
    """

    inputs: str = ""
    labels: str = ""
    splits: str = ""
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """All of it on one line."""
        return "; ".join(filter(None, (self.inputs, self.labels, self.splits)))


@dataclass(frozen=True)
class Dataset:
    """A target dataset.

    Attributes:
        name: what people call it: the file's or folder's name.
        digest: SHA-256 of content and reading options, hexadecimal.
        format: folder, zip, csv, tsv, json, jsonl, excel, parquet, conll or npz.
        classes: class names by code (classification, multi-label), or target names (regression).
        train: the split that rankings use.
        test: the split kept for tuning; may be empty.
        interpretation: what was read as what, and what was left out.
        owner: whose it is, in a service of many tenants.
    """

    name: str
    digest: str
    format: str
    modality: Modality
    task: Task
    classes: tuple[str, ...]
    train: Split
    test: Split
    inputs: ImageInputs | TextInputs | WordInputs | FeatureInputs
    interpretation: Interpretation = Interpretation()
    owner: str = ""

    @property
    def id(self) -> str:
        """The public id: `ds_` and 128 bits of the digest."""
        return dataset_id(self.digest)

    @property
    def of_words(self) -> bool:
        """Whether an example is a word of a sentence."""
        return isinstance(self.inputs, WordInputs)

    def without(self, left_out: NDArray[np.bool_]) -> Dataset:
        """The dataset less some examples: (n,) True for each of those, training examples first."""
        if not left_out.any():
            return self
        kept_train, kept_test = np.split(~left_out, [len(self.train)])
        return replace(
            self, train=self.train.take(np.flatnonzero(kept_train)), test=self.test.take(np.flatnonzero(kept_test))
        )


def dataset_id(digest: str) -> str:
    """The public id of the dataset with this digest."""
    return f"ds_{digest[:32]}"


def is_dataset_id(name: str) -> bool:
    """Whether this has the form of a dataset's public id."""
    return re.fullmatch("ds_[0-9a-f]{32}", name) is not None
