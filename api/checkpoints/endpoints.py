"""`/v1/checkpoints`: what can be ranked."""

from __future__ import annotations

from bisect import bisect_right

from fastapi import APIRouter
from pydantic import BaseModel

from api.paging import Cursor, Limit, Page
from api.problems import RESPONSES, NotFound
from api.state import State, StateDependency

router = APIRouter(prefix="/v1/checkpoints", tags=["checkpoints"], responses=RESPONSES)


class CheckpointResource(BaseModel):
    """A checkpoint that the hubs offer; `error_code` is set where it cannot be used."""

    id: str
    usable: bool
    library: str | None = None
    modality: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    bytes: int | None = None
    input_size: int | None = None
    license: str | None = None
    pretraining: str | None = None
    digest: str | None = None
    error_code: str | None = None
    error_reason: str | None = None


def _resources(state: State) -> list[CheckpointResource]:
    catalogue = state.catalogue()
    usable = [CheckpointResource(usable=True, **found.model_dump(exclude={"path"})) for found in catalogue.checkpoints]
    broken = [
        CheckpointResource(id=entry.checkpoint, usable=False, error_code=entry.code, error_reason=entry.reason)
        for entry in catalogue.skipped
    ]
    return sorted([*usable, *broken], key=lambda resource: resource.id)


@router.get("", operation_id="listCheckpoints")
def read_checkpoints(state: StateDependency, limit: Limit = 100, cursor: Cursor = None) -> Page[CheckpointResource]:
    """List checkpoints, by id."""
    found = _resources(state)
    start = bisect_right([resource.id for resource in found], cursor) if cursor else 0
    items = found[start : start + limit]
    return Page(items=items, next=items[-1].id if start + limit < len(found) else None)


@router.get("/{checkpoint_id:path}", operation_id="getCheckpoint")
def read_checkpoint(checkpoint_id: str, state: StateDependency) -> CheckpointResource:
    """Read one checkpoint."""
    for resource in _resources(state):
        if resource.id == checkpoint_id:
            return resource
    raise NotFound(f"there is no checkpoint '{checkpoint_id}'")
