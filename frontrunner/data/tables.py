"""CSV and Parquet tables of texts, image paths or feature vectors beside their labels."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from frontrunner.data.dataset import (
    Dataset,
    DatasetOptions,
    FeatureInputs,
    ImageInputs,
    Modality,
    Split,
    Task,
    TextInputs,
)
from frontrunner.data.files import Files
from frontrunner.data.images import TEST_NAMES, TRAIN_NAMES, is_image
from frontrunner.errors import EmptyDataset, UnlabelledDataset, UnreadableDataset

LABEL_NAMES = ("label", "labels", "class", "category", "target", "targets", "y")
INPUT_NAMES = (
    "text",
    "sentence",
    "content",
    "image",
    "file",
    "file_name",
    "filename",
    "path",
    "features",
    "embedding",
)
# Column names of published sets of text pairs: entailment, paraphrase, similarity, question and passage.
PAIR_NAMES = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text", "text_pair"),
    ("question", "sentence"),
    ("question", "passage"),
)
SPLIT_NAMES = ("split", "fold", "subset")


def read_table(data: bytes, name: str) -> pa.Table:
    """A table from the bytes of a Parquet file or of a CSV with a header line.

    Raises:
        UnreadableDataset: neither can be parsed from them.
    """
    try:
        if data[:4] == b"PAR1":
            return pyarrow.parquet.read_table(io.BytesIO(data))
        return pyarrow.csv.read_csv(io.BytesIO(data), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableDataset(f"{name} is neither a Parquet file nor a CSV with a header: {error}") from error


@dataclass(frozen=True)
class _Targets:
    """What a label column says: codes for one class each, or a matrix of targets."""

    task: Task
    classes: tuple[str, ...]
    codes: NDArray[np.int64] | None = None
    matrix: NDArray[np.float64] | None = None


def open_table(
    name: str,
    digest: str,
    format: str,  # noqa: A002
    table: pa.Table,
    options: DatasetOptions,
    images: Callable[[], tuple[Files, str]],
) -> Dataset:
    """A dataset from a table. `images` gives the files that image paths name and the folder that they are relative to.

    Raises:
        EmptyDataset: no row, or no row with both an input and a label.
        UnlabelledDataset: no label column can be told.
        UnreadableDataset: no input column can be told, or a named column is absent.
    """
    if table.num_rows == 0:
        raise EmptyDataset(f"{name} holds no rows")
    label_column = _column(table, options.label, LABEL_NAMES)
    if label_column is None:
        raise UnlabelledDataset(
            f"{name} has no label column among {table.column_names}; name it 'label' or pass label=COLUMN"
        )
    pair = _pair_columns(table, options.input)
    input_column = (
        pair[0] if pair else _column(table, options.input, INPUT_NAMES) or _only_string_column(table, label_column)
    )
    complete = pc.is_valid(table[label_column])
    for column in pair or filter(None, [input_column]):
        complete = pc.and_(complete, pc.is_valid(table[column]))
    table = table.filter(complete)
    if table.num_rows == 0:
        raise EmptyDataset(f"{name} has no row with both an input and a label")
    targets = _targets(table[label_column], label_column, options.task)

    inputs: FeatureInputs | ImageInputs | TextInputs
    modality: Modality
    if input_column is None or _is_vector(table[input_column]):
        inputs, modality = FeatureInputs(_feature_sets(table, name, input_column, label_column)), "features"
        keys: list[str | int] = list(range(table.num_rows))
    elif is_image(str(table[input_column][0].as_py())):
        files, base = images()
        keys = [str(PurePosixPath(base) / str(value)) for value in table[input_column].to_pylist()]
        inputs, modality = ImageInputs(files), "image"
    else:
        keys = list(range(table.num_rows))
        texts, *seconds = (tuple(map(str, table[column].to_pylist())) for column in pair or (input_column,))
        inputs, modality = TextInputs(texts, *seconds), "text"

    train, test = _splits(table, keys, targets)
    return Dataset(name, digest, format, modality, targets.task, targets.classes, train, test, inputs)


def _column(table: pa.Table, wanted: str | None, candidates: tuple[str, ...]) -> str | None:
    if wanted is not None:
        if wanted not in table.column_names:
            raise UnreadableDataset(f"there is no column '{wanted}'; the table has {table.column_names}")
        return wanted
    by_lower = {column.lower(): column for column in reversed(table.column_names)}
    return next((by_lower[name] for name in candidates if name in by_lower), None)


def _pair_columns(table: pa.Table, wanted: str | None) -> tuple[str, str] | None:
    """The two columns of a set of text pairs: those asked for as `first,second`, or known by their names."""
    if wanted is None:
        by_lower = {column.lower(): column for column in reversed(table.column_names)}
        known = (pair for pair in PAIR_NAMES if set(pair) <= by_lower.keys())
        return next(((by_lower[first], by_lower[second]) for first, second in known), None)
    if wanted in table.column_names or wanted.count(",") != 1:
        return None
    first, second = (name.strip() for name in wanted.split(","))
    for name in (first, second):
        if name not in table.column_names:
            raise UnreadableDataset(f"there is no column '{name}'; the table has {table.column_names}")
    return first, second


def _only_string_column(table: pa.Table, label_column: str) -> str | None:
    strings = [
        field.name
        for field in table.schema
        if (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
        and field.name != label_column
        and field.name.lower() not in SPLIT_NAMES
    ]
    return strings[0] if len(strings) == 1 else None


def _is_vector(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _feature_sets(table: pa.Table, name: str, input_column: str | None, label_column: str) -> dict[str, NDArray[Any]]:
    try:
        if input_column is not None:
            return {input_column: np.asarray(table[input_column].to_pylist(), dtype=np.float32)}
        numeric = [
            field.name
            for field in table.schema
            if field.name != label_column and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
        ]
        if numeric:
            return {"features": np.column_stack([table[c].to_numpy().astype(np.float32) for c in numeric])}
    except (ValueError, TypeError) as error:
        raise UnreadableDataset(f"{name}: feature rows differ in length or are not numbers ({error})") from error
    raise UnreadableDataset(f"{name} has no input column among {table.column_names}; pass input=COLUMN")


def _targets(column: pa.ChunkedArray, name: str, task: Task | None) -> _Targets:
    kind = column.type
    if _is_vector(column):
        rows = column.to_pylist()
        if any(isinstance(value, str) for row in rows for value in row):
            classes = tuple(sorted({str(value) for row in rows for value in row}))
            code = {label: index for index, label in enumerate(classes)}
            matrix = np.zeros((len(rows), len(classes)))
            for index, row in enumerate(rows):
                matrix[index, [code[str(value)] for value in row]] = 1.0
            return _Targets("multi-label", classes, matrix=matrix)
        if len({len(row) for row in rows}) != 1:
            raise UnreadableDataset(f"the lists in column '{name}' differ in length")
        matrix = np.asarray(rows, dtype=np.float64)
        binary = bool(np.isin(matrix, (0.0, 1.0)).all())
        names = tuple(f"{name}_{index}" for index in range(matrix.shape[1]))
        return _Targets(task or ("multi-label" if binary else "regression"), names, matrix=matrix)
    if task == "regression" or (task is None and pa.types.is_floating(kind) and not _are_whole(column)):
        try:
            matrix = column.cast(pa.float64()).to_numpy()[:, None]
        except pa.ArrowException as error:
            raise UnreadableDataset(f"column '{name}' holds no numbers to predict: {error}") from error
        return _Targets("regression", (name,), matrix=matrix)
    if pa.types.is_floating(kind):
        column = column.cast(pa.int64())
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=lambda index: values[index])
    recode = np.empty(len(values), dtype=np.int64)
    recode[order] = np.arange(len(values))
    codes = recode[encoded.indices.to_numpy(zero_copy_only=False)]
    return _Targets("classification", tuple(str(values[index]) for index in order), codes=codes)


def _are_whole(column: pa.ChunkedArray) -> bool:
    values = column.to_numpy()
    return bool(np.all(np.isfinite(values)) and np.all(values == np.round(values)))


def _splits(table: pa.Table, keys: list[str | int], targets: _Targets) -> tuple[Split, Split]:
    whole = Split(tuple(keys), targets.codes, targets.matrix)
    column = _column(table, None, SPLIT_NAMES)
    if column is None:
        return whole, whole.take(np.zeros(0, dtype=np.int64))
    names = np.array([str(value).lower() for value in table[column].to_pylist()])
    is_train, is_test = np.isin(names, list(TRAIN_NAMES)), np.isin(names, list(TEST_NAMES))
    if not (is_train | is_test).all():
        unknown = sorted(set(names[~(is_train | is_test)]))[:5]
        raise UnreadableDataset(f"column '{column}' holds {unknown}; expected train, test or validation")
    return whole.take(np.flatnonzero(is_train)), whole.take(np.flatnonzero(is_test))
