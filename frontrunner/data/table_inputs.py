"""The inputs that the rows of tables hold or name: images, texts, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontrunner.data.dataset import FeatureInputs, ImageInputs, Key, Modality, TextInputs
from frontrunner.data.files import Files
from frontrunner.data.image_names import ImageNames, ListedImages, found_share, parts_of
from frontrunner.data.table_parts import TablePart
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.roles import Roles
from frontrunner.data.tables.table import Table
from frontrunner.errors import AmbiguousDataset, UnreadableDataset

# Cells that are looked at for their kind of name.
_SEEN = 6
# Characters of a cell that a message repeats.
_CELL_SHOWN = 60
# Names that are looked up to tell whether a column names images; each one may cost many looks into folders.
_NAMES_SEEN = 30


@dataclass(frozen=True)
class Images:
    """Images that a table may name: how they are found, and how they are read."""

    names: ImageNames
    files: Files


@dataclass(frozen=True)
class ColumnImages:
    """Images that a table holds itself, by row; a `Files`."""

    cells: pa.ChunkedArray

    def names(self) -> list[str]:
        """Numbers of the rows."""
        return [str(row) for row in range(len(self.cells))]

    def left_out(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def read(self, name: str) -> bytes:
        """The encoded bytes of the image in row `name`."""
        cell = self.cells[int(name)].as_py()
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if data is None:
            raise UnreadableDataset(f"row {name} holds no image")
        return bytes(data)


def names_images(column: Column, parts: Sequence[TablePart], images: Images) -> bool:
    """Whether most cells of a column name images: words, or numbers of files where all files are known."""
    may_number = column.kind == "number" and column.are_whole and isinstance(images.names, ListedImages)
    if column.kind not in ("word", "image name") and not may_number:
        return False
    names = [str(cell) for cell in column.sample()[:_NAMES_SEEN]]
    return any(2 * found_share(images.names, names, part.base, part.images_split) > 1 for part in parts)


def columns_of_names(table: Table, images: ListedImages) -> list[str]:
    """Columns that hold names of images, each of one image or of several."""
    found = []
    for column in (Column.of(table, key) for key in table.columns):
        if column.kind in ("word", "image name") or (column.kind == "number" and column.are_whole):
            names = column.sample()[:_NAMES_SEEN]
            if 2 * sum(bool(images.called(str(name))) for name in names) > len(names):
                found.append(column.name)
    return found


def namesakes(part: TablePart, images: ListedImages) -> str:
    """What to do about names that fit several images each; empty where none does."""
    for key in columns_of_names(part.table, images):
        for name in Column.of(part.table, key).sample()[:_NAMES_SEEN]:
            fits = images.called(str(name))
            if len(fits) > 1 and images.find(str(name), part.base, part.images_split) is None:
                return f"; '{name}' in '{key}' fits several images ({', '.join(fits[:3])}): write the folder before it"
    return ""


def describes_images(table: Table, images: ListedImages) -> bool:
    """Whether a column holds names of images, be they clear or not, and another one may hold their classes."""
    columns = [Column.of(table, key) for key in table.columns]
    called = columns_of_names(table, images)
    return bool(called) and any(
        column.kind in ("word", "boolean", "list") and 1 < column.distinct <= len(column.cells) // 2
        for column in columns
        if column.name not in called and not pa.types.is_nested(column.cells.type)
    )


def have_inputs(table: Table, roles: Roles) -> NDArray[np.bool_]:
    """(n,) whether a row's input is there; numbers that are missing are reported by the check."""
    there = np.ones(table.rows.num_rows, dtype=np.bool_)
    if roles.kind == "features" and len(roles.inputs) > 1:
        return there
    for key in roles.inputs:
        there &= np.asarray(pc.is_valid(table.rows[key]).to_numpy(), dtype=np.bool_)
    return there


def inputs_of_rows(
    table: Table,
    roles: Roles,
    name: str,
    images: Images | None,
    parts: Sequence[TablePart],
    part_of: NDArray[np.int64],
) -> tuple[FeatureInputs | ImageInputs | TextInputs, Modality, tuple[Key, ...], int | None]:
    """The inputs, what they are, the key of each row, and how many of the named images are there."""
    numbered: tuple[Key, ...] = tuple(range(table.rows.num_rows))
    first = table.rows[roles.inputs[0]]
    named = roles.kind == "image name"
    if roles.kind == "image":
        if not _holds_paths_alone(first):
            return ImageInputs(ColumnImages(first)), "image", numbered, None
        first, named = pc.struct_field(first, "path"), True
    if named:
        if images is None:
            raise UnreadableDataset(
                f"{name}: the images that '{roles.inputs[0]}' names are not here; put table and images into one folder"
            )
        addresses = sum("://" in str(cell) for cell in first.slice(0, _SEEN).to_pylist())
        if addresses:
            raise UnreadableDataset(
                f"{name}: '{roles.inputs[0]}' holds addresses of images, and nothing is fetched; download them first"
            )
        paths = [
            _path(str(cell), parts[part], images.names) for cell, part in zip(first.to_pylist(), part_of, strict=True)
        ]
        found = sum(is_there for _, is_there in paths)
        if not found and not any("." in cell for cell in map(str, first.slice(0, _SEEN).to_pylist())):
            shown = str(first[0])[:_CELL_SHOWN]
            raise AmbiguousDataset(
                f"{name}: no image is called like the cells of '{roles.inputs[0]}' (for instance '{shown}'); put "
                f"them beside the table, or choose with --text {roles.inputs[0]} if they are texts"
            )
        return ImageInputs(images.files), "image", tuple(path for path, _ in paths), found
    if roles.kind == "text":
        texts, *seconds = (_texts(table.rows[key]) for key in roles.inputs)
        return TextInputs(texts, *seconds), "text", numbered, None
    return FeatureInputs(_feature_sets(table, roles.inputs, name)), "features", numbered, None


def _holds_paths_alone(cells: pa.ChunkedArray) -> bool:
    """Whether structs of images hold no bytes, but names of files."""
    if not pa.types.is_struct(cells.type):
        return False
    return bool(pc.struct_field(cells, "bytes").null_count == len(cells) > pc.struct_field(cells, "path").null_count)


def _path(cell: str, part: TablePart, names: ImageNames) -> tuple[str, bool]:
    found = names.find(cell, part.base, part.images_split)
    # A name that means no file is kept as it is written: the check says of each that it cannot be read.
    return (found, True) if found is not None else ("/".join((*parts_of(part.base), *parts_of(cell))) or cell, False)


def _texts(cells: pa.ChunkedArray) -> tuple[str, ...]:
    values = cells.to_pylist()
    return tuple("" if value is None else str(value) for value in values)


def _feature_sets(table: Table, keys: Sequence[str], name: str) -> dict[str, NDArray[Any]]:
    """Columns of vectors as a set each, columns of numbers together as one."""
    columns = [Column.of(table, key) for key in keys]
    vectors = [column for column in columns if column.kind == "vector"]
    numbers = [column.numbers().astype(np.float32) for column in columns if column.kind != "vector"]
    sets: dict[str, NDArray[Any]] = {}
    for column in vectors:
        lengths = pc.unique(pc.drop_null(pc.list_value_length(column.cells))).to_pylist()
        if len(lengths) != 1:
            raise UnreadableDataset(f"{name}: the rows of '{column.name}' differ in length: {sorted(lengths)[:_SEEN]}")
        if lengths[0] == 0:
            raise UnreadableDataset(f"{name}: the rows of '{column.name}' hold no numbers")
        rows = [[np.nan] * lengths[0] if row is None else row for row in column.cells.to_pylist()]
        sets[column.name] = np.array(rows, dtype=np.float32)
    if numbers:
        sets["features"] = np.column_stack(numbers)
    return sets
