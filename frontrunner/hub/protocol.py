"""`Hub`: a place that offers checkpoints. A class that implements it is all that a new kind of hub takes.

The catalogue, the selection of what a request names, opening, and the lists of `checkpoints sync` are loops over hubs.
`frontrunner.hub.finding.registry` collects them: ours, and those of installed packages.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.progress import SILENT, Progress


@runtime_checkable
class Hub(Protocol):
    """Checkpoints whose ids begin with one name: it lists them, describes them unopened, fetches them into a folder.

    A package adds a hub by an entry point of the group `frontrunner.hubs`: a callable that takes this machine's
    `HubAccess` and returns a `Hub`. In the package's `pyproject.toml`:

        [project.entry-points."frontrunner.hubs"]
        share = "its_package.hub:Share"

    A hub is made in every process that lists or opens checkpoints, and its methods are called from several threads.
    The API imports it, lists and describes: these should load no framework.

    Example:
        >>> import shutil
        >>> from frontrunner.hub import HubAccess, ListedCheckpoint, describe_directory
        >>> from frontrunner.settings import Settings
        >>> class Share:
        ...     '''Checkpoints of a network share, `share:NAME`, copied to this machine before they are opened.'''
        ...
        ...     name = "share"
        ...     at_hand = True
        ...
        ...     def __init__(self, access):
        ...         self.root = Path("/mnt/checkpoints")
        ...         self.copies = access.folder / "share"
        ...
        ...     def owns(self, checkpoint_id):
        ...         return checkpoint_id.startswith("share:")
        ...
        ...     def list(self, pattern="*", limit=500):
        ...         return [ListedCheckpoint(id=f"share:{folder.name}") for folder in self.root.glob(pattern)]
        ...
        ...     def describe(self, checkpoint_id):
        ...         found = describe_directory(self.root / checkpoint_id.removeprefix("share:"))
        ...         return found.model_copy(update={"id": checkpoint_id})
        ...
        ...     def fetch(self, description, progress=SILENT):
        ...         copy = self.copies / description.digest
        ...         return Path(shutil.copytree(description.path, copy, dirs_exist_ok=True))
        >>> hub = Share(HubAccess.of(Settings()))
        >>> isinstance(hub, Hub), hub.owns("share:resnet18")
        (True, True)
    """

    @property
    def name(self) -> str:
        """What ids of its checkpoints begin with, before the colon."""
        ...

    @property
    def at_hand(self) -> bool:
        """Whether the catalogue describes everything that it lists, anew every few seconds: such a hub must be fast.

        Other hubs only describe the checkpoints that a request names.
        """
        ...

    def owns(self, checkpoint_id: str) -> bool:
        """Whether the id, a variant's too, is one of this hub's, by its form alone."""
        ...

    def list(self, pattern: str = "*", limit: int = 500) -> Iterable[ListedCheckpoint]:
        """What it offers; of a hub at hand the ids are enough.

        Args:
            pattern: only names that match it, with `*` for any letters, where the list is sorted by name.
            limit: at most this many of each kind, where the list is sorted by use.

        Raises:
            CheckpointError: it cannot be listed.
        """
        ...

    def describe(self, checkpoint_id: str) -> CheckpointDescription:
        """What can be known of a checkpoint without opening it, under this id.

        The digest must name the bytes that `fetch` will give: it is part of every cached feature's key.

        Raises:
            CheckpointError: it is not there, or cannot be used; a subclass says why.
        """
        ...

    def fetch(self, description: CheckpointDescription, progress: Progress = SILENT) -> Path:
        """A folder on this machine with the checkpoint in timm's or transformers' form; downloaded if need be.

        The process that opens the checkpoint calls it, and knows nothing but the description.

        Args:
            description: as `describe` gave it, in another process perhaps; its id may be a variant's.
            progress: hears of bytes (`Stage.FETCH`), and may stop the work at its safe points.

        Raises:
            CheckpointError: it cannot be brought here; a subclass says why.
        """
        ...
