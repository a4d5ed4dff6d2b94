"""`/v1/checkpoints`: what can be ranked."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.paging import Page
from api.problems import RESPONSES, NotFound
from api.state import StateDependency
from frontrunner.hub import ReadingCost
from frontrunner.hub.describing.listing import CatalogueFilter
from jobs.catalogue import IN_HUBS, best_matches, costs_of, search_catalogue
from models import CheckpointRow

router = APIRouter(prefix="/v1/checkpoints", tags=["checkpoints"], responses=RESPONSES)


class CheckpointResource(BaseModel):
    """A checkpoint of the catalogue; `error_code` is set where it cannot be used."""

    id: str
    usable: bool
    at_hand: bool = Field(description="Found in this service's own hubs; others are fetched when they are ranked.")
    library: str | None = None
    modality: str | None = None
    architecture: str | None = None
    family: str | None = None
    parameters: int | None = None
    flops: int | None = None
    bytes: int | None = None
    input_size: int | None = None
    license: str | None = None
    pretraining: str | None = None
    base_model: str | None = None
    popularity: int | None = None
    tags: list[str] = []
    digest: str | None = None
    error_code: str | None = None
    error_reason: str | None = None


class CheckpointDetail(CheckpointResource):
    """A checkpoint with what takes more room."""

    label_names: list[str] = Field(description="Classes of its own head, by index; empty where it does not say.")
    layers: int | None = Field(description="Layers that `ID#layer=K` can name, where known.")
    costs: list[ReadingCost] = Field(description="What reading took, for each kind of device that did.")


class CheckpointQuery(CatalogueFilter):
    """Which checkpoints to list, and which page of them."""

    order: Literal["id", "match"] = Field(
        default="id",
        description="`match`: of the exact name searched for, of names that begin so, others; the most used first.",
    )
    limit: int = Field(default=100, ge=1, le=500, description="Items a page.")
    cursor: str | None = Field(default=None, max_length=255, description="`next` of the page before.")


@router.get("", operation_id="listCheckpoints")
def read_checkpoints(query: Annotated[CheckpointQuery, Query()], state: StateDependency) -> Page[CheckpointResource]:
    """List checkpoints."""
    state.refresh_catalogue()
    with state.database.read_transaction() as session:
        found = search_catalogue if query.order == "id" else best_matches
        rows = found(session, query, after=query.cursor, limit=query.limit)
        items = [CheckpointResource.model_validate(_fields(row)) for row in rows[: query.limit]]
    return Page(items=items, next=items[-1].id if len(rows) > query.limit else None)


@router.get("/{checkpoint_id:path}", operation_id="getCheckpoint")
def read_checkpoint(checkpoint_id: str, state: StateDependency) -> CheckpointDetail:
    """Read one checkpoint."""
    state.refresh_catalogue()
    with state.database.read_transaction() as session:
        row = session.get(CheckpointRow, checkpoint_id)
        if row is None or not row.available:
            raise NotFound(f"there is no checkpoint '{checkpoint_id}'")
        costs = costs_of(session, [row.digest]) if row.digest else {}
        return CheckpointDetail.model_validate(
            _fields(row)
            | {
                "label_names": row.label_names or [],
                "layers": (row.description or {}).get("layers") or None,
                "costs": costs.get(row.digest or "", ()),
            }
        )


def _fields(row: CheckpointRow) -> dict[str, object]:
    same = CheckpointResource.model_fields.keys() - {"usable", "at_hand", "tags", "bytes"}
    return {name: getattr(row, name) for name in same} | {
        "usable": row.error_code is None,
        "at_hand": row.origin == IN_HUBS,
        "tags": row.tags or [],
        "bytes": (row.description or {}).get("bytes"),
    }
