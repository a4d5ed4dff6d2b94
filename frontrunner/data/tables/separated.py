"""CSV and its kin: cells separated by comma, semicolon, tab or bar, under a header line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from frontrunner.data.tables.encoding import decode_text
from frontrunner.data.tables.table import Table, column_names
from frontrunner.errors import EmptyDataset, UnreadableDataset

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# Rows whose number of cells decides which separator it is.
_ROWS_SEEN = 50
# Characters of a header, or of what is wrong with a row, that a message repeats.
_HEADER_SHOWN = 300
_LARGEST_BLOCK = 2**31 - 1
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(,\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*")
_COLUMNS_NAMED = 8


def read_separated(data: bytes, name: str) -> Table:
    """A table of texts from the bytes of a CSV or TSV file.

    Every cell stays as it is written: what a column holds is told later, from all of its cells.

    Raises:
        EmptyDataset: nothing is in it.
        UnreadableDataset: no header, rows of different length, or two columns of one name.

    Example:
        >>> read_separated(b"id; review\\n01;fine\\n", "t.csv").rows.to_pydict()
        {'id': ['01'], 'review': ['fine']}
    """
    decoded = decode_text(data, name)
    text = decoded.data.replace(b"\r\n", b"\n") if b"\r\n" in decoded.data else decoded.data
    if b"\r" in text and b"\n" not in text:
        text = text.replace(b"\r", b"\n")  # as old Macs ended lines
    if b"\0" in text:
        raise UnreadableDataset(f"{name} holds zero bytes and is no text")
    text = text.lstrip(b"\n")
    if not text.strip():
        raise EmptyDataset(f"{name} is an empty file")
    stated = re.match(rb"sep=([,;\t|])\n", text)  # Excel's own first line
    if stated:
        text = text[stated.end() :]
    separator = stated[1].decode() if stated else _separator(text)
    quoted = not (separator == "\t" and _lines_are_rows(text))
    header = next(_records(text, separator, quoted))
    columns = column_names(header, name)
    if len(text) >= _LARGEST_BLOCK:
        raise UnreadableDataset(f"{name} is larger than 2 GiB; save it as Parquet")
    try:
        rows = _parsed(text, len(columns), separator, quoted, escaped=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        try:
            if b'\\"' not in text:
                raise
            rows = _parsed(text, len(columns), separator, quoted, escaped=True)
        except (pa.ArrowException, OSError, ValueError):
            shown = ", ".join(columns)[:_HEADER_SHOWN]
            raise UnreadableDataset(
                f"{name} was read as a table separated by {SEPARATORS[separator]} under the header {shown}; and then: "
                f"{' '.join(str(error).split())[:_HEADER_SHOWN]}"
            ) from error
    rows = rows.rename_columns(columns)
    if not quoted:
        rows = _without_quotes(rows)
    rows, decimals = _with_decimal_points(rows, separator)
    notes = tuple(filter(None, (decoded.note, decimals and f"{name}: {decimals} were read with decimal commas")))
    return Table(rows, "tsv" if separator == "\t" else "csv", typed=False, notes=notes)


def _parsed(text: bytes, columns: int, separator: str, quoted: bool, *, escaped: bool) -> pa.Table:
    """Every cell as a text; columns are called by their numbers. Quotes inside of quotes are doubled, or `escaped`."""
    names = [str(index) for index in range(columns)]
    return pyarrow.csv.read_csv(
        io.BytesIO(text),
        # One block for all: a cell may be longer than a block would be.
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=len(text) + 1),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=separator,
            quote_char='"' if quoted else False,
            double_quote=not escaped,
            escape_char="\\" if escaped else False,
            newlines_in_values=quoted,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _separator(text: bytes) -> str:
    """The one that makes as many cells of the rows as of the header; of several, the one that makes most."""
    found: list[tuple[bool, int, str]] = []
    for separator in SEPARATORS:
        records = _records(text, separator, quoted=True)
        try:
            lengths = [len(record) for record in islice(records, _ROWS_SEEN) if record]
        except csv.Error:
            continue
        if lengths and lengths[0] > 1:
            found.append((len(set(lengths)) == 1, lengths[0], separator))
    return max(found, key=lambda entry: entry[:2])[2] if found else ","


def _records(text: bytes, separator: str, quoted: bool) -> Iterator[list[str]]:
    csv.field_size_limit(_LARGEST_BLOCK)
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    if not quoted:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator)


def _lines_are_rows(text: bytes) -> bool:
    """Whether every line has as many tabs as the first: quotes are then no more than characters of the texts."""
    return len({line.count(b"\t") for line in text.split(b"\n") if line}) == 1


def _without_quotes(rows: pa.Table) -> pa.Table:
    """Cells that are quoted as a whole, as pandas writes those that hold a quote, without their quotes."""
    columns = []
    for column in rows.columns:
        whole = pc.match_substring_regex(column, r'^"(?:[^"]|"")*"$')
        inner = pc.replace_substring(pc.utf8_slice_codeunits(column, 1, -1), '""', '"')
        columns.append(pc.if_else(whole, inner, column))
    return pa.table(columns, names=rows.column_names)


def _with_decimal_points(rows: pa.Table, separator: str) -> tuple[pa.Table, str]:
    """Columns of numbers with decimal commas, as programs write them beside semicolons, with points; and their names.

    Beside other separators `1,500` may be thousands and `1,2` two labels: there, most cells must have a comma, and not
    three digits behind it.
    """
    columns = []
    named = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        cells = [cell for cell in pc.unique(column).to_pylist() if cell.strip()]
        commas = sum("," in cell for cell in cells)
        is_decimal = commas > 0 and all(map(_DECIMAL_COMMA.fullmatch, cells))
        if is_decimal and separator != ";":
            thousands = all("," not in cell or _THOUSANDS.fullmatch(cell) for cell in cells)
            is_decimal = 2 * commas > len(cells) and not thousands
        if is_decimal:
            named.append(f"'{name}'")
        columns.append(pc.replace_substring(column, ",", ".") if is_decimal else column)
    return pa.table(columns, names=rows.column_names), ", ".join(named[:_COLUMNS_NAMED])
