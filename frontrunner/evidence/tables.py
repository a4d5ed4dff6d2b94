"""Tables of evidence: CSV files that grow by a row at a time and survive a kill at any moment."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

Row = TypeVar("Row", bound=BaseModel)


class Table(Generic[Row]):
    """Rows of one kind in a CSV file with a header; an empty cell is a value that is not there.

    Several processes may add rows to one file. A row that was cut off by a kill is passed over.

    Args:
        path: of the file, which need not exist.
        kind: of its rows.
    """

    def __init__(self, path: Path, kind: type[Row]) -> None:
        self.path = path
        self.kind = kind

    def __iter__(self) -> Iterator[Row]:
        if not self.path.is_file():
            return
        with self.path.open(newline="") as file:
            for row in csv.DictReader(file):
                try:
                    yield self.kind.model_validate({name: value for name, value in row.items() if value != ""})
                except ValueError:
                    continue

    def add(self, *rows: Row) -> None:
        """Append rows in one write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.kind.model_fields), lineterminator="\n")
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            if not size:
                writer.writeheader()
            elif os.pread(handle, 1, size - 1) != b"\n":  # a row that was cut off
                text.write("\n")
            writer.writerows(row.model_dump(mode="json") for row in rows)
            os.write(handle, text.getvalue().encode())
        finally:
            os.close(handle)
