"""Datasets of words: a label, or a number to predict, for every word of sentences.

An example is a word, and a sentence is a cluster: its words are sampled, held out and drawn anew together. Words
without a label are no examples, and stay in their sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontrunner.data.dataset import Dataset, DatasetOptions, Interpretation, LeftOut, Split, WordInputs
from frontrunner.data.splits import SplitChoice
from frontrunner.data.table_parts import TablePart, list_of, refuse_halves, splits_of_rows
from frontrunner.data.tables.cells import Column, is_list
from frontrunner.data.tables.conll import LABELS, WORDS
from frontrunner.data.tables.label_columns import LABEL_NAMES, split_column
from frontrunner.data.tables.label_forms import Labels
from frontrunner.data.tables.labels import read_labels
from frontrunner.data.tables.names import listed, named_like, plain, spelled
from frontrunner.data.tables.roles import Roles
from frontrunner.data.tables.table import Table
from frontrunner.errors import AmbiguousDataset, EmptyDataset, UnreadableDataset

_WORD_NAMES = (WORDS, "words", "token", "word")
# What lists of labels are called in published sets, the more special first.
_LABEL_NAMES = ("ner_tags", "ner", LABELS, "labels", "label", "pos_tags", "pos", "upos", "chunk_tags")


def word_columns(table: Table, name: str, options: DatasetOptions) -> Roles | None:
    """The columns of a table that hold sentences as lists of words, and the words' labels; None where none does.

    Lists are taken for words where their column is called so (`tokens`, `words`) or asked for, and there is another
    column of lists for the labels and none with one label a row.

    Raises:
        AmbiguousDataset: several columns may be the words' labels.
        UnreadableDataset: the column of labels cannot be read, or is not there.
    """
    columns = {key: Column.of(table, key) for key in table.columns}
    lists = {key: column for key, column in columns.items() if is_list(column.cells.type)}
    words = named_like(lists, _WORD_NAMES)
    asked = options.input or options.text or options.image
    if asked is not None:
        words = asked if asked in lists and options.image is None else None
    if words is None or columns[words].kind != "list":
        return None
    label = _labels_of(words, lists, columns, table, name, options)
    if label is None:
        return None
    split = split_column(table, columns, name, SplitChoice.parse(options.split), (label, words))
    unread = tuple(key for key in columns if key not in (words, label, split))
    return Roles("words", (words,), (label,), split, (), unread)


def _labels_of(
    words: str,
    lists: dict[str, Column],
    columns: dict[str, Column],
    table: Table,
    name: str,
    options: DatasetOptions,
) -> str | None:
    if options.label is not None:
        (label, *others) = listed(table, options.label)
        return label if not others and label in lists else None
    if any(plain(key) in LABEL_NAMES for key in columns if key not in lists):
        return None  # of the whole row
    named = named_like({key: column for key, column in lists.items() if key != words}, _LABEL_NAMES)
    if named is not None:
        return named
    broken = next((key for key in table.unusable if plain(key) in _LABEL_NAMES), None)
    if broken is not None:
        raise UnreadableDataset(f"{name}: the column '{broken}' cannot be read: {table.unusable[broken]}")
    sizes = pc.list_value_length(lists[words].cells)
    alike = [key for key, column in lists.items() if key != words and _are_as_long(column, sizes)]
    if len(alike) > 1:
        raise AmbiguousDataset(
            f"{name} has more than one column with a label for each word of '{words}': {', '.join(alike)}; "
            f"choose with {spelled('label', alike)}"
        )
    return alike[0] if alike else None


def _are_as_long(column: Column, sizes: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(pc.list_value_length(column.cells), sizes), min_count=0).as_py())


def open_words(
    name: str,
    digest: str,
    format: str,  # noqa: A002
    table: Table,
    parts: Sequence[TablePart],
    part_of: NDArray[np.int64],
    roles: Roles,
    options: DatasetOptions,
) -> Dataset:
    """A dataset of the words of a table whose rows are sentences.

    Args:
        name: what messages call it.
        digest: of content and options.
        format: of the file that was given.
        table: all sentences.
        parts: the tables that they come from.
        part_of: (rows,) the number of the table of each.
        roles: from `word_columns`.
        options: how to read it.

    Raises:
        InvalidDataset: a subclass says what is wrong: words and labels differ in number, no word is labelled.
    """
    refuse_halves(parts, roles, name)
    (words,), (label,) = roles.inputs, roles.labels
    side, left_out, splits = splits_of_rows(table, roles, parts, part_of, options, name)
    sentences: list[list[Any]] = [row or [] for row in table.rows[words].to_pylist()]
    given: list[list[Any] | None] = table.rows[label].to_pylist()
    _require_as_many(sentences, given, words, label, name)
    inputs = WordInputs.of([["" if word is None else str(word) for word in row] for row in sentences])
    sentence = np.repeat(np.arange(len(sentences)), np.diff(inputs.starts))
    is_test = (side == "test")[sentence]
    labels = read_labels([_flat(table, label, sentences, given)], options.task, is_test)
    blank = np.array([not word.strip() for word in inputs.words], dtype=np.bool_)
    usable = labels.present & ~blank & (side != "")[sentence]
    left_out += _without(labels, blank, (side != "")[sentence])
    train, test = (_split(labels, usable & is_side, sentence) for is_side in (~is_test, is_test))
    if not len(train):
        raise EmptyDataset(f"{name} has no training word with a label ({splits})")
    classes, train, test = _of_occurring(labels, train, test)
    what = {"classification": f"{len(classes)} labels", "multi-label": f"{len(classes)} labels, several at once,"}
    return Dataset(
        name,
        digest,
        format,
        "text",
        labels.task,
        classes,
        train,
        test,
        inputs,
        Interpretation(
            inputs=f"sentences of words from column '{words}'"
            + (f" (not read: {list_of(roles.unread)})" if roles.unread else ""),
            labels=f"{what.get(labels.task, 'a number')} for each word from column '{label}'"
            + (f" ({labels.how})" if labels.how else ""),
            splits=splits,
            left_out=tuple(left_out),
            warnings=(*(note for part in parts for note in part.table.notes), *labels.warnings),
        ),
    )


def _require_as_many(
    sentences: Sequence[list[Any]], given: Sequence[list[Any] | None], words: str, label: str, name: str
) -> None:
    """One label a word; a sentence without any is one of a test set that hides them."""
    uneven = [
        row
        for row, (sentence, found) in enumerate(zip(sentences, given, strict=True))
        if found is not None and len(found) != len(sentence)
    ]
    if uneven:
        row = uneven[0]
        raise UnreadableDataset(
            f"{name}: row {row} holds {len(sentences[row])} words in '{words}' and {len(given[row] or [])} labels in "
            f"'{label}', and {len(uneven) - 1} more rows do not fit either: every word needs one label; write null for "
            "a word that has none"
        )


def _flat(table: Table, label: str, sentences: Sequence[list[Any]], given: Sequence[list[Any] | None]) -> Column:
    """The labels of all words below each other. Numbers below 0 stand for none, as tokenizers' examples have them."""
    flat: list[Any] = []
    for sentence, found in zip(sentences, given, strict=True):
        flat += [None] * len(sentence) if found is None else found
    if flat and all(isinstance(value, int) for value in flat if value is not None):
        flat = [None if value is None or value < 0 else value for value in flat]
    kind = table.rows[label].type.value_type
    return Column(label, pa.chunked_array([pa.array(flat, kind)]), typed=True, class_names=table.class_names(label))


def _without(labels: Labels, blank: NDArray[np.bool_], read: NDArray[np.bool_]) -> list[LeftOut]:
    """Words that are no examples, and why."""
    counted = (
        (int((read & ~labels.present).sum()), "no label; their sentences are read with them"),
        (int((read & labels.present & blank).sum()), "blank"),
    )
    return [LeftOut(count=n, what=f"word{'s' if n > 1 else ''}", reason=why) for n, why in counted if n]


def _split(labels: Labels, chosen: NDArray[np.bool_], sentence: NDArray[np.int64]) -> Split:
    index = np.flatnonzero(chosen)
    return Split(
        tuple(index.tolist()),
        None if labels.codes is None else labels.codes[index],
        None if labels.matrix is None else labels.matrix[index],
        sentence[index],
    )


def _of_occurring(labels: Labels, train: Split, test: Split) -> tuple[tuple[str, ...], Split, Split]:
    """The classes that some example has, and the splits in their codes."""
    if train.labels is None or test.labels is None:
        return labels.classes, train, test
    seen = np.union1d(train.labels, test.labels)
    train, test = (
        Split(split.keys, np.searchsorted(seen, np.asarray(split.labels)), None, split.clusters)
        for split in (train, test)
    )
    return tuple(labels.classes[code] for code in seen), train, test
