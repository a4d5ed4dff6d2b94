"""All hubs of this machine: our own, and those that installed packages add."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import structlog

from frontrunner.errors import CheckpointNotFound
from frontrunner.hub.access import HubAccess
from frontrunner.hub.finding.feature_sets import FeatureSets
from frontrunner.hub.finding.folders import Folders
from frontrunner.hub.finding.huggingface import hugging_face
from frontrunner.hub.finding.packages import Packages
from frontrunner.hub.protocol import Hub

ENTRY_POINTS = "frontrunner.hubs"

# Through the standard library's logger: where nobody configures logs, structlog's own would write to stdout, which
# belongs to what a command prints.
_log = structlog.wrap_logger(logging.getLogger("frontrunner.hubs"))


def hubs_of(access: HubAccess, folders: Iterable[Path] = (), *, packages: bool = True) -> tuple[Hub, ...]:
    """Every hub of this machine, in the order in which they are asked; where two own an id, the first is used.

    Args:
        access: how this machine reaches hubs and where it keeps files.
        folders: hub folders; none are needed where descriptions are opened that were made elsewhere.
        packages: whether checkpoints that installed packages ship are offered.

    Example:
        >>> from frontrunner.settings import Settings
        >>> [hub.name for hub in hubs_of(HubAccess.of(Settings()))][:5]
        ['local', 'package', 'timm', 'hf', 'features']
    """
    ours: tuple[Hub, ...] = (Folders(access, folders), *hugging_face(access), FeatureSets())
    if packages:
        ours = (ours[0], Packages(access), *ours[1:])
    others = (_made(point, access) for point in entry_points(group=ENTRY_POINTS))
    return (*ours, *(hub for hub in others if hub is not None))


def hub_of(checkpoint_id: str, hubs: Iterable[Hub]) -> Hub:
    """The hub that owns the id.

    Raises:
        CheckpointNotFound: none does.
    """
    names = []
    for hub in hubs:
        if hub.owns(checkpoint_id):
            return hub
        names.append(f"{hub.name}:")
    raise CheckpointNotFound(
        f"there is no checkpoint '{checkpoint_id[:200]}': it is no folder here, and ids begin with {', '.join(names)}"
    )


@functools.lru_cache(maxsize=256)  # a hub is made once for each way to reach it, and a broken one reported once
def _made(point: EntryPoint, access: HubAccess) -> Hub | None:
    try:
        hub = point.load()(access)
        if not isinstance(hub, Hub):
            raise TypeError(f"{point.value} makes a {type(hub).__name__}, which is no Hub")
    except Exception as error:  # whatever somebody else's code raises; the other hubs work without it
        _log.warning("hub_left_out", hub=point.name, entry_point=point.value, error=f"{type(error).__name__}: {error}")
        return None
    return hub
