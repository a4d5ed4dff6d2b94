"""What a column holds, told from its type and its cells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontrunner.data.images import EXTENSIONS, UNREAD_EXTENSIONS
from frontrunner.data.tables.table import Table

Kind: TypeAlias = Literal[
    "image", "image name", "text", "word", "number", "boolean", "vector", "list", "date", "empty", "other"
]

# Written for a number that is not known. In a column of words `NA` may be Namibia, in one of numbers it may not.
_NO_NUMBER_PATTERN = r"(?i)^\s*(na|n/a|#n/a|<na>|nan|null|none|\?|-)?\s*$"
# `007` and `01` are names, not numbers; so are more digits than fit into 64 bits.
_NUMBER_PATTERN = r"^\s*[+-]?((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_WHOLE_PATTERN = r"^\s*-?(0|[1-9][0-9]{0,17})\s*$"
_DATE_PATTERN = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\d{1,2}:\d{2}.*)?\s*$"
_SPACED_PATTERN = r"\S\s+\S"
_CELLS_SEEN = 2000
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"P5", b"P6", b"\0\0\0\x0cjP")
_SCRIPTS_WITHOUT_BLANKS = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its name.
        cells: its cells, as the reader left them.
        typed: whether the format says what they are.
        class_names: names of its numbers, where the file gives them.
        feature: what Hugging Face's `datasets` says of it.
    """

    name: str
    cells: pa.ChunkedArray
    typed: bool
    class_names: tuple[str, ...] | None = None
    feature: Any = None

    @classmethod
    def of(cls, table: Table, name: str) -> Column:
        """The column `name` of a table."""
        return cls(name, table.rows[name], table.typed, table.class_names(name), table.features.get(name))

    @cached_property
    def kind(self) -> Kind:
        """What the cells are."""
        kind = self.cells.type
        if pa.types.is_null(kind) or self.cells.null_count == len(self.cells):
            return "empty"
        if pa.types.is_struct(kind):
            return "image" if {"bytes", "path"} <= {field.name for field in kind} else "other"
        if is_binary(kind):
            return "image" if _is_picture(self._first()) else "other"
        if is_list(kind):
            return "vector" if is_numeric(kind.value_type) else "list" if is_text(kind.value_type) else "other"
        if pa.types.is_boolean(kind):
            return "boolean"
        if is_numeric(kind):
            return "number"
        if pa.types.is_temporal(kind):
            return "date"
        return self._kind_of_text() if is_text(kind) else "other"

    @cached_property
    def is_blank(self) -> NDArray[np.bool_]:
        """(n,) whether a cell is null, NaN or, as a text, blank."""
        kind = self.cells.type
        if is_text(kind):
            blank = pc.equal(pc.utf8_trim_whitespace(self.cells), "")
            return _bools(pc.fill_null(blank, True))
        return _bools(pc.is_null(self.cells, nan_is_null=True))

    @cached_property
    def are_whole(self) -> bool:
        """Whether a column of numbers is written in integers alone."""
        if is_text(self.cells.type):
            filled = self.cells.filter(pc.invert(pc.match_substring_regex(self.cells, _NO_NUMBER_PATTERN)))
            return bool(pc.all(pc.match_substring_regex(filled, _WHOLE_PATTERN), min_count=0).as_py())
        return bool(pa.types.is_integer(self.cells.type))

    def numbers(self) -> NDArray[np.float64]:
        """(n,) the cells of a column of numbers or booleans; NaN where one is missing.

        Raises:
            pa.ArrowInvalid: a cell is no number.
        """
        cells = self._written()
        if pa.types.is_boolean(cells.type):
            cells = cells.cast(pa.int8())
        found = cells.cast(pa.float64(), safe=False).to_numpy()
        return np.asarray(found, dtype=np.float64)

    def integers(self) -> NDArray[np.int64 | np.uint64]:
        """(n,) the cells of a column of whole numbers, exactly; 0 where one is missing."""
        cells = self._written()
        if is_text(cells.type):
            cells = cells.cast(pa.int64())
        return np.asarray(cells.fill_null(0).to_numpy())

    def _written(self) -> pa.ChunkedArray:
        """The cells; of texts, null for those that are written for no number."""
        cells = self.cells
        if not is_text(cells.type):
            return cells
        known = pc.invert(pc.match_substring_regex(cells, _NO_NUMBER_PATTERN))
        return pc.if_else(pc.fill_null(known, False), pc.utf8_trim_whitespace(cells), None)

    def sample(self) -> list[Any]:
        """Some of the cells that are not blank, each value once."""
        filled = self.cells.filter(pa.array(~self.is_blank))
        return list(pc.unique(filled.slice(0, _CELLS_SEEN)).to_pylist())

    @cached_property
    def distinct(self) -> int:
        """How many different cells there are."""
        return int(pc.count_distinct(self.cells).as_py())

    def _first(self) -> bytes:
        return bytes(next((cell.as_py() for cell in self.cells if cell.is_valid), b""))

    def _kind_of_text(self) -> Kind:
        cells = self.cells.drop_null()
        if bool(self.is_blank.all()):
            return "empty"
        if not self.typed:
            if _all(cells, _NO_NUMBER_PATTERN, or_pattern=_NUMBER_PATTERN) and not _all(cells, _NO_NUMBER_PATTERN):
                return "number"
            if _all(cells, r"(?i)^\s*(true|false)?\s*$"):
                return "boolean"
            if _all(cells, r"^\s*$", or_pattern=_DATE_PATTERN):
                return "date"
        seen = [str(cell) for cell in self.sample()]
        if 2 * sum(map(is_image_name, seen)) > len(seen):
            return "image name"
        if 2 * sum(map(_is_several_words, seen)) >= len(seen):
            return "text"
        return "word"


def is_image_name(text: str) -> bool:
    """Whether a text is the name of an image's file; addresses are not, since nothing is fetched."""
    text = text.strip()
    if len(text) > 1000 or "\n" in text or "://" in text[:12]:
        return False
    suffix = PurePosixPath(text.replace("\\", "/")).suffix.lower()
    return suffix in EXTENSIONS or suffix in UNREAD_EXTENSIONS


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_numeric(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_several_words(text: str) -> bool:
    return re.search(_SPACED_PATTERN, text) is not None or len(_SCRIPTS_WITHOUT_BLANKS.findall(text)) > 3


def _is_picture(data: bytes) -> bool:
    return data.startswith(_BEGINNINGS) or data[4:8] == b"ftyp" or data[:4] == b"\xff\x4f\xff\x51"


def _all(cells: pa.ChunkedArray, pattern: str, or_pattern: str | None = None) -> bool:
    fits = pc.match_substring_regex(cells, pattern)
    if or_pattern is not None:
        fits = pc.or_(fits, pc.match_substring_regex(cells, or_pattern))
    return bool(pc.all(fits, min_count=0).as_py())


def _bools(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(), dtype=np.bool_)
