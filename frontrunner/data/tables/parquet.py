"""Parquet, with what Hugging Face's `datasets` writes about its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from frontrunner.data.tables.table import Table, column_names
from frontrunner.errors import DatasetTooLarge, EmptyDataset, UnreadableDataset

# Columns are held in memory while a dataset is open.
MAX_UNPACKED_BYTES = 32 * 1024**3


def read_parquet(source: bytes | Path, name: str) -> Table:
    """A table from a Parquet file or its bytes; dictionaries and views become what they stand for.

    Raises:
        UnreadableDataset: damaged, or two columns of one name.
        DatasetTooLarge: it unpacks to more than is held in memory.
        EmptyDataset: it has no columns.
    """
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)
        size = sum(file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups))
        if size > MAX_UNPACKED_BYTES:
            raise DatasetTooLarge(f"{name} unpacks to {size:,} bytes; at most {MAX_UNPACKED_BYTES:,} are accepted")
        rows = file.read()
        rows.validate(full=True)  # offsets and UTF-8: nobody else checks what a damaged or hostile file says
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise UnreadableDataset(f"{name} is not a readable Parquet file: {error}") from error
    if not rows.num_columns:
        raise EmptyDataset(f"{name} holds no columns")
    features = _features(rows.schema.metadata or {})
    columns = column_names(rows.column_names, name)
    plain = pa.table([_plain(column) for column in rows.columns], names=columns)
    return Table(plain, "parquet", typed=True, features={key.strip(): value for key, value in features.items()})


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=kind.storage_type)
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.large_string())  # 2 GiB of texts do not fit into one array of the short kind
    if pa.types.is_binary_view(kind):
        return column.cast(pa.large_binary())
    return column
