"""Tables of evidence: CSV files that grow by a row at a time and survive a kill at any moment."""

from __future__ import annotations

import csv
import fcntl
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import BaseModel

Row = TypeVar("Row", bound=BaseModel)


class Table(Generic[Row]):
    """Rows of one kind in a CSV file with a header; an empty cell is a value that is not there.

    Several processes may add rows to one file. A row, or the header, that a kill has cut off is passed over, and gone
    once the next row is added.

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
        """Append rows, all or none of them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.kind.model_fields), lineterminator="\n")
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            whole = _whole_lines(file)
            if not whole:
                writer.writeheader()
            writer.writerows(row.model_dump(mode="json") for row in rows)
            file.truncate(whole)
            file.write(text.getvalue().encode())


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the end of the last line that was written to its end."""
    file.seek(0)
    return file.read().rfind(b"\n") + 1
