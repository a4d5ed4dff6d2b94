"""Public ids of checkpoints, and what they stand for on a hub."""

from __future__ import annotations

import re
from dataclasses import dataclass

from frontrunner.errors import CheckpointNotFound

# Names as the hub allows them: no path can be built from one.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_HF = re.compile(rf"hf:(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")
_TIMM = re.compile(rf"timm:(?P<name>{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")
_MAX_LENGTH = 200
DEFAULT_REVISION = "main"


@dataclass(frozen=True)
class Repository:
    """A repository on a hub, by name and revision: a branch, a tag or a commit."""

    name: str
    revision: str = DEFAULT_REVISION


def repository_of(checkpoint_id: str) -> Repository:
    """The repository of `hf:ORG/NAME@REVISION` or `timm:NAME.TAG`, whose weights lie in the hub's own `timm`.

    Raises:
        CheckpointNotFound: the id is not written so.

    Example:
        >>> repository_of("timm:resnet50.a1_in1k")
        Repository(name='timm/resnet50.a1_in1k', revision='main')
        >>> repository_of("hf:intfloat/e5-small-v2@ffb93f3").revision
        'ffb93f3'
    """
    match = _HF.fullmatch(checkpoint_id) or _TIMM.fullmatch(checkpoint_id)
    if match is None or ".." in checkpoint_id or len(checkpoint_id) > _MAX_LENGTH:
        raise CheckpointNotFound(
            f"'{checkpoint_id[:_MAX_LENGTH]}' is no id of a checkpoint on a hub; "
            "expected hf:ORG/NAME, hf:ORG/NAME@REVISION or timm:NAME.TAG"
        )
    found = match.groupdict()
    return Repository(found.get("repository") or f"timm/{found['name']}", found["revision"] or DEFAULT_REVISION)
