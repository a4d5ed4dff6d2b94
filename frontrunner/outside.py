"""What a process without a network, and without most files, asks another one for.

A runner of the service opens checkpoints of strangers, so it is confined: see `workers.confined`. What it cannot do
itself, and must not be able to, it has done: fetching a checkpoint, reaching the store, making room on a disk that all
share. Where nobody was named here, as in the library and on the command line, a process does all of it itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from frontrunner.hub.describing.description import CheckpointDescription
    from frontrunner.progress import Progress
    from frontrunner.store.protocol import Store


class Outside(Protocol):
    """The process that is asked.

    Attributes:
        store: the store, as far as the work in hand may reach into it.
    """

    store: Store

    def fetch(self, description: CheckpointDescription, progress: Progress) -> Path | None:
        """The folder of a checkpoint that the work in hand names; None for any other.

        Raises:
            CheckpointError: as `Hub.fetch` does.
        """
        ...

    def pixel_room(self, dataset: str, wanted: int) -> int:
        """Bytes that may be added to the decoded images of a dataset; see `frontrunner.extraction.pixel_room`."""
        ...


_named: list[Outside] = []


def outside() -> Outside | None:
    """Who is to be asked; None where this process does it itself."""
    return _named[-1] if _named else None


def ask_outside(other: Outside) -> None:
    """From now on this process asks `other`."""
    _named.append(other)
