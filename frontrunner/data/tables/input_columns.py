"""Which column is the input: by its name, else by what its cells are, and only if no other could be meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.names import listed, named_like, plain, quoted, spelled
from frontrunner.data.tables.table import Table
from frontrunner.errors import AmbiguousDataset, UnreadableDataset

InputKind: TypeAlias = Literal["image", "image name", "text", "words", "features"]

TEXT_NAMES = ("text", "sentence", "content")
IMAGE_NAMES = (
    "image", "images", "img", "file", "file_name", "filename", "filenames", "path", "file_path", "filepath",
    "filepaths", "image_path", "image_name", "image_file", "image_id", "img_path", "img_name",
)  # fmt: skip
FEATURE_NAMES = ("features", "embedding", "embeddings")
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
_ID_WORDS = frozenset({"id", "ids", "idx", "index", "uuid", "guid", "key", "row", "rowid", "number", "no", "nr"})
# Consecutive whole numbers are taken for the rows' numbers where there are at least this many.
_COUNTED = 10


def input_columns(
    table: Table,
    name: str,
    options: DatasetOptions,
    rest: dict[str, Column],
    ids: tuple[str, ...],
    label: Column | None,
    names_images: Callable[[Column], bool] | None,
) -> tuple[InputKind, tuple[str, ...]]:
    """What the input is, and its columns.

    Args:
        table: all columns.
        name: what messages call the table.
        options: columns that are asked for.
        rest: the columns that are neither label nor split.
        ids: those of them that count or name rows.
        label: the label's column, where one is known already.
        names_images: whether a column names images that lie beside the table.

    Raises:
        AmbiguousDataset: several columns could be meant.
        UnreadableDataset: none could, or one that is asked for is not what the option says.
    """
    if options.text is not None:
        return "text", _texts(table, listed(table, options.text))
    if options.image is not None:
        (key,) = _one(listed(table, options.image), "image")
        kind: InputKind = "image" if Column.of(table, key).kind == "image" else "image name"
        return kind, (key,)
    if options.input is not None:
        return _asked(table, listed(table, options.input), names_images)
    images = _image_columns(rest, names_images)
    text = named_like(rest, TEXT_NAMES)
    pair = _pair(rest)
    if images and (text or pair):
        texts = text or ",".join(pair)
        raise AmbiguousDataset(
            f"{name} has images in '{images[0]}' and texts in '{texts}'; "
            f"choose with --image {quoted(images[0])} or --text {quoted(texts)}"
        )
    if len(images) > 1:
        raise AmbiguousDataset(
            f"{name} has images in more than one column: {', '.join(images)}; choose with {spelled('image', images)}"
        )
    if images:
        kind = "image" if rest[images[0]].kind == "image" else "image name"
        return kind, (images[0],)
    if pair:
        return "text", pair
    if text is not None:
        return "text", _texts(table, (text,))
    return _by_content(name, rest, ids, label)


def _by_content(
    name: str, rest: dict[str, Column], ids: tuple[str, ...], label: Column | None
) -> tuple[InputKind, tuple[str, ...]]:
    """The input where no column is called like one."""
    of_kind = {
        kind: [key for key, column in rest.items() if column.kind == kind]
        for kind in ("text", "word", "vector", "number", "other")
    }
    if label is not None:  # a class's name beside its number says nothing new
        of_kind |= {
            kind: [key for key in of_kind[kind] if not _repeats(rest[key], label)]
            for kind in ("text", "word", "number")
        }
    texts, words, vectors = of_kind["text"], of_kind["word"], of_kind["vector"]
    if len(texts) == 1 and not vectors:
        return "text", (texts[0],)
    if texts:
        raise AmbiguousDataset(
            f"{name}: which column is the input cannot be told from {', '.join(texts + vectors)}; "
            f"choose with {spelled('text' if not vectors else 'input', texts + vectors)}"
            + (f", or --text {quoted(','.join(texts[:2]))} for pairs of texts" if len(texts) > 1 else "")
        )
    if vectors:
        known = named_like({key: rest[key] for key in vectors}, FEATURE_NAMES)
        return "features", (known,) if known else tuple(vectors)
    numbers = [key for key in of_kind["number"] if key not in ids]
    addresses = [key for key in words if all("://" in str(cell)[:12] for cell in rest[key].sample())]
    if addresses and not numbers:
        raise UnreadableDataset(
            f"{name}: '{addresses[0]}' holds addresses, and nothing is fetched: "
            "download the images and name their files"
        )
    if words:
        named = f"{', '.join(words[:5])} hold{'s' if len(words) == 1 else ''} single words or names, no texts"
        choices = [
            f"--text {quoted(words[0])} to read them as texts",
            f"--image {quoted(words[0])} if images are named so",
        ]
        if numbers:
            choices.append(f"--input {quoted(','.join(numbers[:8]))} to take numbers for features")
        raise AmbiguousDataset(
            f"{name}: which column is the input cannot be told: {named}; choose with {', '.join(choices)}"
        )
    if numbers:
        return "features", tuple(numbers)
    foreign = [f"'{key}' holds {rest[key].cells.type}" for key in of_kind["other"]]
    what = f" ({', '.join(foreign)})" if foreign else ""
    what += f"; {', '.join(ids)} only number{'s' if len(ids) == 1 else ''} the rows" if ids else ""
    raise UnreadableDataset(
        f"{name} has no input column among {list(rest)}{what}; name it 'text' or 'image', or choose with "
        "--text COLUMN, --image COLUMN or --input COLUMN"
    )


def _asked(
    table: Table, keys: tuple[str, ...], names_images: Callable[[Column], bool] | None
) -> tuple[InputKind, tuple[str, ...]]:
    """What the columns of `--input` are."""
    columns = [Column.of(table, key) for key in keys]
    kinds = {column.kind for column in columns}
    if kinds <= {"number", "boolean", "vector"} and not (names_images and names_images(columns[0])):
        return "features", keys
    if len(keys) == 1 and "image" in kinds:
        return "image", keys
    if len(keys) == 1 and (kinds == {"image name"} or (names_images and names_images(columns[0]))):
        return "image name", keys
    return "text", _texts(table, keys)


def _texts(table: Table, keys: tuple[str, ...]) -> tuple[str, ...]:
    if len(keys) > 2:
        raise UnreadableDataset(f"a text is in one column, or a pair in two; given: {', '.join(keys)}")
    for key in keys:
        if pa.types.is_nested(table.rows[key].type) or Column.of(table, key).kind in ("image", "other"):
            raise UnreadableDataset(f"the column '{key}' holds no texts but {table.rows[key].type}")
    return keys


def _one(keys: tuple[str, ...], option: str) -> tuple[str]:
    if len(keys) != 1:
        raise UnreadableDataset(f"--{option} names one column; given: {', '.join(keys)}")
    return (keys[0],)


def _pair(columns: dict[str, Column]) -> tuple[str, str] | tuple[()]:
    """The two columns of a set of text pairs that are known by their names."""
    by_name = {plain(key): key for key in reversed(columns)}
    known = (pair for pair in PAIR_NAMES if set(pair) <= by_name.keys())
    return next(((by_name[first], by_name[second]) for first, second in known), ())


def _image_columns(columns: dict[str, Column], names_images: Callable[[Column], bool] | None) -> list[str]:
    """Columns of images; of several that name them, those that are called so."""
    found = [key for key, column in columns.items() if column.kind in ("image", "image name")]
    if not found and names_images is not None:
        found = [key for key, column in columns.items() if names_images(column)]
    if not found:  # names without an extension whose files are not here
        found = [k for k, c in columns.items() if plain(k) in IMAGE_NAMES[:4] and c.kind == "word"]
    known = [key for key in found if plain(key) in IMAGE_NAMES]
    return known if len(known) == 1 else found


def is_id(column: Column) -> bool:
    """Whether a column of numbers counts or names rows: by its name, or since it counts on from row to row."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column.name).lower())
    if (words and words[-1] in _ID_WORDS) or re.match(r"Unnamed: \d+$|__index_level_\d+__$", column.name):
        return True
    if not column.are_whole or len(column.cells) < _COUNTED:
        return False
    numbers = column.numbers()
    return bool(np.isfinite(numbers).all() and (np.diff(np.sort(numbers)) == 1).all())


def same_partition(one: Column, other: Column) -> bool:
    """Whether two columns tell the same rows apart: one says in other words what the other says."""
    if pa.types.is_nested(one.cells.type) or pa.types.is_nested(other.cells.type):
        return False
    try:
        together = pa.table({"one": one.cells, "other": other.cells}).group_by(["one", "other"]).aggregate([])
        return bool(one.distinct == other.distinct == together.num_rows)
    except pa.ArrowException:  # of a type that cannot be grouped
        return False


def _repeats(column: Column, label: Column) -> bool:
    """Whether a column says in other words or numbers what the label says."""
    is_classes = not pa.types.is_nested(label.cells.type) and 2 * label.distinct <= len(label.cells)
    if not is_classes or (column.kind == "number" and not column.are_whole):
        return False
    return same_partition(column, label)
