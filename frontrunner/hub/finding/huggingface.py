"""The Hugging Face Hub, or a mirror that speaks its protocol: `hf:ORG/NAME@REVISION`, and timm's part, `timm:NAME.TAG`.

Its client takes a while to import, so that happens when the Hub is asked for something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.progress import SILENT, Progress

Lister: TypeAlias = Callable[[HubAccess, str, int], Iterator[ListedCheckpoint]]


@dataclass(frozen=True)
class HuggingFace:
    """Repositories of the Hub, pinned to a commit when they are described; a `Hub`.

    Attributes:
        name: what their ids begin with.
        access: which Hub, as whom, and where files are kept.
        lister: yields the list, given the access, a pattern of names, and how many of each kind.
    """

    name: str
    access: HubAccess
    lister: Lister

    at_hand = False

    def owns(self, checkpoint_id: str) -> bool:
        """Whether the id begins with this hub's name."""
        return checkpoint_id.startswith(f"{self.name}:")

    def list(self, pattern: str = "*", limit: int = 500) -> Iterator[ListedCheckpoint]:
        """timm's list, filtered by the pattern; or the most used checkpoints of each kind, up to the limit."""
        return self.lister(self.access, pattern, limit)

    def describe(self, checkpoint_id: str) -> CheckpointDescription:
        """The repository as its metadata shows it, pinned to a commit; a few small requests.

        Raises:
            HubError: a subclass says how the Hub failed, or that this machine is offline.
            CheckpointError: see `frontrunner.hub.fetching.remote.describe_remote`.
        """
        from frontrunner.hub.fetching.remote import describe_remote

        return describe_remote(checkpoint_id, self.access)

    def fetch(self, description: CheckpointDescription, progress: Progress = SILENT) -> Path:
        """The folder with exactly the pinned files, downloaded where they are not at hand.

        Raises:
            HubError: a subclass says how the Hub failed, or that this machine is offline.
            CheckpointUnreadable: the description pins no files.
            CheckpointError: see `frontrunner.hub.fetching.remote.fetch`.
        """
        from frontrunner.hub.fetching.remote import fetch

        if description.remote is None:
            raise CheckpointUnreadable(f"{description.id}: its description pins no files of a repository")
        return fetch(description.id, description.remote, self.access, progress)


def hugging_face(access: HubAccess) -> tuple[HuggingFace, HuggingFace]:
    """The Hub by its two kinds of ids: timm's own repositories, whose list needs no network, and any others."""
    return HuggingFace("timm", access, _by_timm), HuggingFace("hf", access, _by_use)


def _by_use(access: HubAccess, pattern: str, limit: int) -> Iterator[ListedCheckpoint]:
    from frontrunner.hub.fetching.lists import listed_by_use

    return listed_by_use(access, limit)


def _by_timm(access: HubAccess, pattern: str, limit: int) -> Iterator[ListedCheckpoint]:
    from frontrunner.hub.fetching.lists import listed_by_timm

    return listed_by_timm(pattern)
