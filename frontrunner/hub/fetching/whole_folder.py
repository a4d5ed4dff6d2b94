"""Writing folders so that a reader sees none or the whole one, never a part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write to, which takes `target`'s place when the block ends well and vanishes when it does not.

    Any number of processes may write one folder at a time: the first to finish wins. Folders above are made.

    Example:
        >>> target = Path(tempfile.mkdtemp()) / "above" / "whole"
        >>> with whole_folder(target) as folder:
        ...     _ = (folder / "numbers").write_text("1 2 3")
        >>> [path.name for path in target.iterdir()], [path.name for path in target.parent.iterdir()]
        (['numbers'], ['whole'])
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".partial-"))
    try:
        yield partial
        try:
            partial.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
