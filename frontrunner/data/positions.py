"""Which of a dataset's examples: a bit each, in the dataset's own order, as text that a row or a message can hold."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray


def positions_text(chosen: NDArray[np.bool_]) -> str:
    """(n,) True where an example is meant, as text; empty where none is.

    Example:
        >>> text = positions_text(np.arange(100_000) % 1000 == 7)
        >>> len(text) < 300, read_positions(text, 100_000).nonzero()[0][:2].tolist()
        (True, [7, 1007])
    """
    if not chosen.any():
        return ""
    return base64.b64encode(zlib.compress(np.packbits(chosen).tobytes())).decode()


def read_positions(text: str, n: int) -> NDArray[np.bool_]:
    """(n,) what `positions_text` was given.

    Raises:
        ValueError: the text is not of n examples.
    """
    if not text:
        return np.zeros(n, dtype=np.bool_)
    try:
        # Never more than the bits of n examples, whatever the text unpacks to.
        packed = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), (n + 7) // 8 + 1)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"the positions cannot be read: {error}") from error
    if len(packed) != (n + 7) // 8:
        raise ValueError(f"the positions are not of {n} examples")
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=n).astype(np.bool_)
