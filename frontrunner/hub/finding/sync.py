"""The lists of hubs that are not at hand: how the catalogue hears of checkpoints that were never fetched."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from frontrunner.errors import CheckpointNotFound
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.hub.protocol import Hub

# Entries that are stored together: an interrupted list keeps all batches before.
BATCH = 100


def lists_of(
    hubs: Iterable[Hub], only: str | None = None, *, pattern: str = "*", limit: int = 500
) -> Iterator[tuple[ListedCheckpoint, ...]]:
    """What each hub that is not at hand lists, in batches as it comes.

    Args:
        hubs: those that are looked through; hubs at hand are passed over, since the catalogue holds what they offer.
        only: name of the one hub whose list is read; all by default.
        pattern: see `Hub.list`.
        limit: see `Hub.list`.

    Raises:
        CheckpointNotFound: no hub has this name and a list.
        HubError: a hub did not give its list.
    """
    away = [hub for hub in hubs if not hub.at_hand]
    wanted = [hub for hub in away if only in (None, hub.name)]
    if not wanted:
        names = ", ".join(hub.name for hub in away)
        raise CheckpointNotFound(f"no hub called '{only}' keeps a list; these do: {names}")
    for hub in wanted:
        yield from batches(hub.list(pattern, limit))


def batches(listed: Iterable[ListedCheckpoint]) -> Iterator[tuple[ListedCheckpoint, ...]]:
    """The entries in tuples of `BATCH`; a list that breaks off has left what came before."""
    entries = iter(listed)
    while batch := tuple(itertools.islice(entries, BATCH)):
        yield batch
