"""Records: arrays and JSON under a name that says what they are, each with a checksum of name and bytes at its end.

What can be computed again is kept so: a record whose checksum does not fit is treated as one that is not there. The
checksum is XXH3 of 128 bits: it costs a fiftieth of SHA-256, too little to be seen beside the reading itself. It finds
accidents, and also a record under another one's name; it does not stop somebody who may write to the store.
"""

from __future__ import annotations

import io
import json
import logging
import math
import mmap
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import xxhash
from numpy.typing import NDArray

from frontrunner.files import ARRAY_HEADERS
from frontrunner.store.protocol import Store

# Ends every record, after the checksum: names the form, so that another one can follow.
_MARK = b"FRxxh128"
_CHECKSUM_BYTES = 16
_TAIL = _CHECKSUM_BYTES + len(_MARK)

_Bytes: TypeAlias = "bytes | memoryview | mmap.mmap"

_log = logging.getLogger("frontrunner.store")


def write_array(store: Store, name: str, array: NDArray[Any]) -> None:
    """Keep an array, in NumPy's own format before the checksum."""
    plain = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(plain))
    _write(store, name, header.getvalue(), plain.reshape(-1).view(np.uint8).data)


def read_array(store: Store, name: str) -> NDArray[Any] | None:
    """The array, memory-mapped and read-only; None where it is absent or damaged."""
    for _ in range(2):
        try:
            with store.open(name) as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            return None
        except ValueError:  # an empty file cannot be mapped
            found = None
        else:
            with memoryview(mapped) as view:
                found = _array_of(mapped) if _is_whole(name, view) else None
        if found is not None or not store.discard_copy(name):
            break
    if found is None:
        _log.warning("the stored %s is damaged: it is made again", name)
    return found


def write_json(store: Store, name: str, value: Mapping[str, Any]) -> None:
    """Keep a JSON object."""
    _write(store, name, json.dumps(value).encode())


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """The JSON object; None where it is absent or damaged."""
    try:
        stored = store.read(name)
    except FileNotFoundError:
        return None
    with memoryview(stored) as view:
        whole = _is_whole(name, view)
    try:
        found = json.loads(stored[:-_TAIL]) if whole else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        _log.warning("the stored %s is damaged: it is made again", name)
        return None
    return found


def _write(store: Store, name: str, *parts: _Bytes) -> None:
    checksum = xxhash.xxh3_128(name.encode())
    with store.writing(name) as file:
        for part in parts:
            checksum.update(part)
            file.write(part)
        file.write(checksum.digest() + _MARK)


def _is_whole(name: str, stored: memoryview) -> bool:
    if len(stored) < _TAIL or stored[-len(_MARK) :] != _MARK:
        return False
    checksum = xxhash.xxh3_128(name.encode())
    with stored[:-_TAIL] as content:
        checksum.update(content)
    return bool(stored[-_TAIL : -len(_MARK)] == checksum.digest())


def _array_of(mapped: mmap.mmap) -> NDArray[Any] | None:
    try:
        np.lib.format.read_magic(mapped)
        with ARRAY_HEADERS:
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(mapped)
        if fortran or dtype.hasobject:
            return None
        return np.frombuffer(mapped, dtype, math.prod(shape), mapped.tell()).reshape(shape)
    except ValueError:
        return None
