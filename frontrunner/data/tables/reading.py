"""From bytes to tables: the bytes decide the format; a name only where they could be of two."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from frontrunner.data.splits import SplitName
from frontrunner.data.tables.conll import SUFFIXES as CONLL_SUFFIXES
from frontrunner.data.tables.conll import looks_like_conll, read_conll
from frontrunner.data.tables.excel import read_excel
from frontrunner.data.tables.parquet import read_parquet
from frontrunner.data.tables.records import read_json
from frontrunner.data.tables.separated import read_separated
from frontrunner.data.tables.table import Table
from frontrunner.errors import UnreadableDataset, UnsupportedDataset

SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm"}) | CONLL_SUFFIXES
_SEPARATED = frozenset({".csv", ".tsv"})
# The member by which a zip is known to be an Excel workbook.
WORKBOOK = "xl/workbook.xml"
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_WEB_PAGES = (b"<!doctype html", b"<html")
# What people bring and what is done about it; by the first bytes.
# Where the header of a tar's first member says what it is.
_TAR_AT = 257
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel 97 to 2003; save it as .xlsx or CSV"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; pack it as zip"),
    (b"Rar!", "a RAR archive; pack it as zip"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"\x89HDF", "an HDF5 file; save its arrays as npz"),
    (b"\x93NUMPY", "a single NumPy array; save features and labels together as npz"),
    (b"%PDF", "a PDF"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself; fetch it with 'git lfs pull'"),
)


def is_table(name: str) -> bool:
    """Whether a file's name says that it is a table."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def read_table(source: bytes | Path, name: str) -> list[tuple[SplitName | None, Table]]:
    """The tables of a file: one, but for workbooks with a sheet for each split.

    Args:
        source: the file, or its bytes.
        name: what messages call it.

    Raises:
        InvalidDataset: a subclass says what is wrong with it.

    Example:
        >>> [(_, table)] = read_table(b"text,label\\nfine,1\\n", "t.csv")
        >>> table.format, table.columns
        ('csv', ['text', 'label'])
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(4096)
        if head.startswith(b"PAR1"):
            return [(None, read_parquet(source, name))]
        source = source.read_bytes()
    head = source[:4096]
    if head.startswith(b"PAR1"):
        return [(None, read_parquet(source, name))]
    if head.startswith(_ZIPS):
        if WORKBOOK.encode() in source:
            return read_excel(source, name)
        raise UnreadableDataset(f"{name} is a zip and no table")
    for start, what in _REFUSED:
        if head.startswith(start):
            raise UnsupportedDataset(f"{name} is {what}")
    if head[_TAR_AT:].startswith(b"ustar"):
        raise UnsupportedDataset(f"{name} is a tar archive; pack it as zip")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES):
        raise UnsupportedDataset(f"{name} is a web page and no table: the download answered with something else")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _SEPARATED and _looks_like_json(source):
        return read_json(source, name)
    if _is_binary(head):
        raise UnsupportedDataset(
            f"{name} is none of: image folder, zip, CSV, TSV, JSON, JSONL, Excel, Parquet, CoNLL, npz "
            f"(it holds zero or control bytes and starts with {head[:8]!r})"
        )
    if suffix in CONLL_SUFFIXES or (suffix not in _SEPARATED and looks_like_conll(source)):
        return [(None, read_conll(source, name))]
    return [(None, read_separated(source, name))]


def _looks_like_json(data: bytes) -> bool:
    start = data[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"{"):
        return True
    if not start.startswith(b"["):
        return False
    try:  # a header may begin with a bracket too
        json.JSONDecoder().raw_decode(start.decode("utf-8", "replace").splitlines()[0])
    except RecursionError:
        return True
    except ValueError:
        return start[1:].lstrip().startswith((b"{", b"["))
    return True


def _is_binary(head: bytes) -> bool:
    """Whether control characters are in it that no text holds; zero bytes may be halves of UTF-16."""
    controls = set(head) & (set(range(1, 9)) | set(range(14, 32)) - {27})
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * head.count(0) > len(head)
    return (bool(controls) and not wide) or (0 in head and not wide)
