"""Data in memory reads as the same data on disk does, and its file's bytes depend on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets as hf_datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from frontrunner.data import Dataset, DatasetOptions, check_dataset, open_dataset
from frontrunner.data.memory import held_dataset
from frontrunner.errors import EmptyDataset, FrontrunnerError, UnlabelledDataset, UnreadableDataset

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)
NAMES = ["cat", "dog", "cat", "dog", "cat", "dog"]
TEXTS = [f"text {i}" for i in range(6)]


class Torch:
    """A torch dataset is anything with a length and items."""

    def __init__(self, items: list[tuple[Any, Any]], classes: list[str] | None = None) -> None:
        self._items = items
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        return self._items[place]


def opened(data: Any, look: Callable[[Dataset], Any]) -> Any:
    with held_dataset(data) as path:
        return look(open_dataset(path, DatasetOptions()))


def decoded(dataset: Dataset) -> list[NDArray[np.uint8]]:
    inputs: Any = dataset.inputs
    return [np.asarray(inputs.decode(place).convert("RGB")) for place in dataset.train.keys]


def named_labels(dataset: Dataset) -> list[str]:
    return [str(dataset.classes[code]) for code in dataset.train.labels]


FLOATS = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
IMAGES = {
    "arrays": (PIXELS, NAMES),
    "PIL images": ([Image.fromarray(pixels) for pixels in PIXELS], NAMES),
    "torch dataset of tensors": Torch([(FLOATS[i], i % 2) for i in range(6)], ["cat", "dog"]),
    "torch dataset of PIL images": Torch([(Image.fromarray(PIXELS[i]), i % 2) for i in range(6)], ["cat", "dog"]),
    "datasets.Dataset": hf_datasets.Dataset.from_dict(
        {"image": [Image.fromarray(pixels) for pixels in PIXELS], "label": [0, 1] * 3},
        features=hf_datasets.Features(
            {"image": hf_datasets.Image(), "label": hf_datasets.ClassLabel(names=["cat", "dog"])}
        ),
    ),
}


@pytest.mark.parametrize("form", IMAGES)
def test_images_in_any_form_keep_their_pixels_and_labels(form: str) -> None:
    pixels, labels, modality = opened(IMAGES[form], lambda data: (decoded(data), named_labels(data), data.modality))
    assert modality == "image"
    np.testing.assert_array_equal(np.stack(pixels), PIXELS)
    assert labels == NAMES


TABLES = {
    "lists": (TEXTS, NAMES),
    "pandas": pd.DataFrame({"text": TEXTS, "label": NAMES}, index=list("abcdef")),
    "polars": pl.DataFrame({"text": TEXTS, "label": NAMES}),
    "pyarrow": pa.table({"text": TEXTS, "label": NAMES}),
    "datasets.Dataset": hf_datasets.Dataset.from_dict({"text": TEXTS, "label": NAMES}),
    "pairs": list(zip(TEXTS, NAMES, strict=True)),
}


@pytest.mark.parametrize("form", TABLES)
def test_texts_in_any_form(form: str) -> None:
    def look(data: Dataset) -> tuple[list[str], list[str]]:
        inputs: Any = data.inputs
        return [inputs.texts[place] for place in data.train.keys], named_labels(data)

    assert opened(TABLES[form], look) == (TEXTS, NAMES)


def test_splits_of_a_dataset_dict_are_kept() -> None:
    parts = hf_datasets.DatasetDict(
        train=hf_datasets.Dataset.from_dict({"text": TEXTS, "label": NAMES}),
        test=hf_datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["cat", "dog"]}),
    )
    assert opened(parts, lambda data: (len(data.train), len(data.test))) == (6, 2)


def test_a_matrix_is_features_and_floats_are_targets() -> None:
    features, targets = np.random.default_rng(1).normal(size=(8, 3)), np.linspace(0, 1, 8)
    assert opened((features, targets), lambda data: (data.modality, data.task)) == ("features", "regression")
    both = opened((features, np.stack([targets, -targets], axis=1)), lambda data: (data.task, len(data.classes)))
    assert both == ("regression", 2)
    vectors = Torch([(torch.from_numpy(row), i % 2) for i, row in enumerate(features)])
    np.testing.assert_array_equal(opened(vectors, lambda data: next(iter(data.inputs.sets.values()))), features)


def test_a_frame_of_features_is_read_by_rows():
    matrix = np.random.default_rng(1).normal(size=(8, 3))
    for frame in (pd.DataFrame(matrix, columns=list("abc")), pl.DataFrame(matrix, schema=list("abc"))):
        found = opened((frame, pd.Series(NAMES[:2] * 4)), lambda data: next(iter(data.inputs.sets.values())))
        np.testing.assert_array_equal(found, matrix)


def test_several_labels_a_row_of_features():
    indicator = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]])
    features = np.random.default_rng(1).normal(size=(6, 2))
    task, matrix = opened((features, indicator), lambda data: (data.task, data.train.targets))
    assert task == "multi-label"
    np.testing.assert_array_equal(matrix, indicator)


def test_several_labels_an_image() -> None:
    indicator = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]])
    task, matrix = opened((PIXELS, indicator), lambda data: (data.task, data.train.targets))
    assert task == "multi-label"
    np.testing.assert_array_equal(matrix, indicator)


def test_the_same_data_have_the_same_digest() -> None:
    digests = {opened(IMAGES["arrays"], lambda data: data.digest) for _ in range(2)}
    changed = PIXELS.copy()
    changed[0, 0, 0, 0] ^= 1
    assert len(digests) == 1
    assert opened((changed, NAMES), lambda data: data.digest) not in digests


def test_images_in_memory_pass_the_check() -> None:
    assert opened(IMAGES["arrays"], check_dataset).unreadable == []


REFUSED: dict[str, tuple[Any, type[FrontrunnerError], str]] = {
    "another length": ((TEXTS, NAMES[:4]), UnlabelledDataset, "6 inputs and 4 labels"),
    "nothing": ([], EmptyDataset, "no example"),
    "a number": (5, UnreadableDataset, "int"),
    "no pair": (["a", "b"], UnreadableDataset, "expected a pair"),
    "mixed inputs": ([("a", 0), (PIXELS[0], 1)], UnreadableDataset, "example 1 holds images"),
    "ragged features": ([(np.ones(3), 0), (np.ones(4), 1)], UnreadableDataset, "several lengths"),
    "normalised images": (Torch([(FLOATS[0] * 2 - 1, 0)]), UnreadableDataset, "without normalisation"),
    "five channels": ((np.zeros((2, 4, 4, 5), np.uint8), [0, 1]), UnreadableDataset, "1, 3 or 4 channels"),
    "labels of two types": ([("a", "x")] * 256 + [("b", 1)], UnreadableDataset, "several types"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_words(case: str) -> None:
    data, error, message = REFUSED[case]
    with pytest.raises(error, match=message), held_dataset(data):
        pass
