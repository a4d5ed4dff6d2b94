"""From tables to a dataset: which column is what, what the labels say, and which rows are for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontrunner.data.dataset import Dataset, DatasetOptions, Interpretation, Split
from frontrunner.data.table_inputs import Images, have_inputs, inputs_of_rows, names_images
from frontrunner.data.table_parts import (
    NO_SPLIT,
    TablePart,
    incomplete,
    joined,
    list_of,
    refuse_halves,
    splits_of_paths,
    splits_of_rows,
)
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.label_forms import Labels
from frontrunner.data.tables.labels import read_labels
from frontrunner.data.tables.roles import Roles, roles_of
from frontrunner.data.tables.table import Table
from frontrunner.data.word_datasets import open_words, word_columns
from frontrunner.errors import EmptyDataset


def open_tables(
    name: str,
    digest: str,
    format: str,  # noqa: A002
    parts: Sequence[TablePart],
    options: DatasetOptions,
    images: Images | None = None,
) -> Dataset:
    """A dataset of the rows of one table, or of one for each split.

    Args:
        name: what messages call it.
        digest: of content and options.
        format: of the file that was given.
        parts: at least one; those of the training split first decide which column is what.
        options: how to read it.
        images: those that the table may name.

    Raises:
        InvalidDataset: a subclass says what is wrong, or what has to be chosen.
    """
    parts = sorted(parts, key=lambda part: part.split != "train")
    if not any(part.table.rows.num_rows for part in parts):
        raise EmptyDataset(f"{name} holds no rows")
    table, part_of = joined(parts, name)
    words = word_columns(table, name, options)
    if words is not None:
        return open_words(name, digest, format, table, parts, part_of, words, options)
    roles = roles_of(
        table, name, options, None if images is None else lambda column: names_images(column, parts, images)
    )
    refuse_halves(parts, roles, name)
    split, left_out, splits = splits_of_rows(table, roles, parts, part_of, options, name)
    labels = read_labels([Column.of(table, key) for key in roles.labels], options.task, split == "test")
    usable = (split != "") & labels.present & have_inputs(table, roles)
    left_out += incomplete(labels, split, usable, part_of, parts)
    if not usable.any():
        raise EmptyDataset(f"{name} has no row with both an input and a label")

    table = replace(table, rows=table.rows.filter(pa.array(usable)))
    split, part_of = split[usable], part_of[usable]
    inputs, modality, keys, found = inputs_of_rows(table, roles, name, images, parts, part_of)
    if found is not None and splits == NO_SPLIT and options.split is None:
        split, splits = splits_of_paths(keys, split, splits)
    classes, codes = _present_classes(labels, usable)
    rows = Split(keys, codes, None if labels.matrix is None else labels.matrix[usable])
    train, test = (rows.take(np.flatnonzero(split == side)) for side in ("train", "test"))
    if not len(train):
        raise EmptyDataset(f"{name} has no training row with both an input and a label ({splits})")
    notes = [note for part in parts for note in part.table.notes]
    return Dataset(
        name,
        digest,
        format,
        modality,
        labels.task,
        classes,
        train,
        test,
        inputs,
        Interpretation(
            inputs=_inputs_sentence(table, roles, found),
            labels=_labels_sentence(labels, roles, len(classes)),
            splits=splits,
            left_out=tuple(left_out),
            warnings=(*notes, *labels.warnings),
        ),
    )


def _present_classes(labels: Labels, usable: NDArray[np.bool_]) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    """The classes that some usable row has, and the codes of these rows."""
    if labels.codes is None:
        return labels.classes, None
    seen, codes = np.unique(labels.codes[usable], return_inverse=True)
    return tuple(labels.classes[code] for code in seen), np.asarray(codes, dtype=np.int64)


def _inputs_sentence(table: Table, roles: Roles, found: int | None) -> str:
    what = {"image": "images", "image name": "images named", "text": "texts", "features": "features"}[roles.kind]
    if len(roles.inputs) == 2 and roles.kind == "text":
        what = "pairs of texts"
    said = f"{what} from {_columns(roles.inputs)}"
    if found is not None and found < table.rows.num_rows:
        said += f" ({found} of {table.rows.num_rows} are there)"
    unread = (*roles.ids, *roles.unread, *table.unusable)
    return said + (f" (not read: {list_of(unread)})" if unread else "")


def _labels_sentence(labels: Labels, roles: Roles, classes: int) -> str:
    what = {
        "classification": f"{classes} classes",
        "multi-label": f"{classes} labels, several at once,",
        "regression": "numbers to predict" if classes == 1 else f"{classes} numbers to predict",
    }[labels.task]
    return f"{what} from {_columns(roles.labels)}" + (f" ({labels.how})" if labels.how else "")


def _columns(names: Sequence[str]) -> str:
    return f"column '{names[0]}'" if len(names) == 1 else f"columns {list_of(names)}"
