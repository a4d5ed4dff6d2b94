"""`Catalogue`: the checkpoints that hubs offer, described, and those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from frontrunner.errors import DuplicateCheckpoint
from frontrunner.failures import refusal_of
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.protocol import Hub


class SkippedCheckpoint(BaseModel):
    """A checkpoint that was left out, and why."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    code: str
    reason: str

    @classmethod
    def because(cls, checkpoint: str, error: BaseException) -> SkippedCheckpoint:
        """Left out because of `error`, whatever it is; see `frontrunner.failures`."""
        refusal = refusal_of(error, checkpoint)
        return cls(checkpoint=checkpoint, code=refusal.code, reason=refusal.reason)


class Catalogue(BaseModel):
    """The checkpoints that were found, and those that were listed and cannot be used."""

    checkpoints: tuple[CheckpointDescription, ...] = ()
    skipped: tuple[SkippedCheckpoint, ...] = ()


def catalogue_of(hubs: Iterable[Hub]) -> Catalogue:
    """Describe everything that the hubs at hand among these offer; what is offered twice is used once and reported.

    Raises:
        CheckpointError: a hub cannot be listed.
    """
    found: dict[str, CheckpointDescription] = {}
    skipped: list[SkippedCheckpoint] = []
    for hub in hubs:
        for listed in hub.list() if hub.at_hand else ():
            try:
                if listed.id in found:
                    raise DuplicateCheckpoint(f"{listed.id} was already found{_place(found[listed.id])}")
                found[listed.id] = hub.describe(listed.id)
            except Exception as error:  # whatever a stranger's files, or a hub of somebody else's, lead to
                skipped.append(SkippedCheckpoint.because(listed.id, error))
    return Catalogue(checkpoints=tuple(found.values()), skipped=tuple(skipped))


def _place(found: CheckpointDescription) -> str:
    return f" in {Path(found.path).parent}" if found.path else ""
