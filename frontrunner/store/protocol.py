"""The interface of a store: named byte strings that are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class StoredObject(NamedTuple):
    """One object of a store.

    Attributes:
        name: with forward slashes.
        bytes: its size.
        modified_at: seconds since the epoch, by the store's clock.
    """

    name: str
    bytes: int
    modified_at: float


class Store(Protocol):
    """Objects by name. Safe among threads, processes and machines: who reads one sees all of it or nothing.

    Every method raises `StoreUnavailable` where the store cannot be reached or refuses, and `OSError` where this
    machine's own disk fails.
    """

    def open(self, name: str) -> BinaryIO:
        """A local file with the object's bytes: the object itself, or a copy that is brought here.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def path(self, name: str) -> Path:
        """The path of that local file. It stays for as long as the copies of younger objects leave it room.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def holds(self, name: str) -> bool:
        """Whether there is such an object now, whatever copies of it there are."""
        ...

    def link(self, name: str, valid_s: int) -> str | None:
        """An address where anybody who has it reads the object for so long; None where the store gives none.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def read(self, name: str) -> bytes:
        """The bytes as they are now, of an object that is small and may be replaced.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def writing(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to write to, which becomes the object when the block ends well, and nothing when it does not."""
        ...

    def put_file(self, path: Path, name: str) -> None:
        """Make a local file the object, without a second copy where both lie on one disk."""
        ...

    def partial(self, prefix: str) -> Path:
        """The path of a new local file from which `put_file` copies nothing; whoever asks for it removes it."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose names begin with `prefix` and a slash, in no order."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, where it is there."""
        ...

    def remove_abandoned(self, prefix: str, before: float) -> int:
        """Remove what writers that were killed left half written below `prefix` before a time; how many files."""
        ...

    def discard_copy(self, name: str) -> bool:
        """Drop this machine's copy of an object, which is damaged; False where there is none but the object itself."""
        ...


def remove_all(store: Store, prefix: str) -> None:
    """Remove every object below a prefix."""
    for found in list(store.list(prefix)):
        store.remove(found.name)
