"""Room for decoded images on a disk that processes share: taken a piece at a time, under one lock."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A process takes this share of all room at a time, so that so many together exceed it by their last pieces alone.
_PIECE = 1 / 64
# A dataset that nobody read for so long is dropped: pixels are for the checkpoints of a job, not for good.
_KEPT_S = 24 * 3600.0
# Beside the folder of all datasets.
_LOCK = ".lock"


def take_room(root: Path, dataset: str, max_bytes: int, wanted: int) -> int:
    """Bytes that a process may add to a dataset's folder; at least `wanted`, or 0 where there is no room for them.

    Datasets that were read the longest ago make room. What other processes were given and have not written yet is not
    counted: together they may exceed `max_bytes` by a 64th of it each.

    Args:
        root: the folder of all datasets.
        dataset: the folder's name.
        max_bytes: of all datasets together.
        wanted: bytes that are to be added now.

    Example:
        >>> import tempfile
        >>> take_room(Path(tempfile.mkdtemp()), "d", 1000, 900), take_room(Path(tempfile.mkdtemp()), "d", 1000, 1001)
        (900, 0)
    """
    own = root / dataset
    piece = max(int(max_bytes * _PIECE), wanted)
    try:
        own.mkdir(parents=True, exist_ok=True)
        os.utime(own)  # in use
        with _locked(root):
            return piece if _make_room(root, own, max_bytes - _bytes_in(own) - piece) else 0
    except OSError:
        return 0


def _make_room(root: Path, own: Path, room: int) -> bool:
    """Whether a piece fits in, once others' folders that are too old or too much are gone.

    Args:
        room: what is left beside the own folder and the piece.
    """
    if room < 0:
        return False
    folders = sorted((folder.stat().st_mtime, folder) for folder in root.iterdir() if folder.is_dir())
    for read_at, folder in reversed([other for other in folders if other[1] != own]):
        size = _bytes_in(folder)
        if size > room or time.time() - read_at > _KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            room -= size
    return True


def _bytes_in(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:  # another process makes room too
        return 0


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with root.with_name(root.name + _LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
