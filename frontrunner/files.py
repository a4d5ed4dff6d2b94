"""Writing files so that a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes `path`'s place when the block ends well and vanishes when it does not.

    Any number of processes may write one path at a time: the last to finish wins. Folders above are made.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "folder" / "numbers"
        >>> with whole_file(target) as file:
        ...     _ = file.write(b"1 2 3")
        >>> target.read_bytes()
        b'1 2 3'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
