"""The lists of hubs that are not at hand: how the catalogue hears of checkpoints that were never fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from frontrunner.errors import CheckpointNotFound
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.hub.protocol import Hub


def lists_of(
    hubs: Iterable[Hub], only: str | None = None, *, pattern: str = "*", limit: int = 500
) -> Iterator[tuple[ListedCheckpoint, ...]]:
    """What each hub that is not at hand lists.

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
        yield tuple(hub.list(pattern, limit))
