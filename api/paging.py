"""Keyset pages: `items` and an opaque `next`; and the range of times that lists can be narrowed to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

Item = TypeVar("Item")
Query_ = TypeVar("Query_", bound=Select[Any])

Limit = Annotated[int, Query(ge=1, le=500, description="Items a page.")]
Cursor = Annotated[str | None, Query(max_length=255, description="`next` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(default=None, description="Pass as `cursor` for the next page; null at the end.")


@dataclass(frozen=True)
class Created:
    """When what is listed was created: not before `since`, and before `until`; UTC where no zone is given."""

    since: datetime | None
    until: datetime | None

    def narrow(self, query: Query_, column: InstrumentedAttribute[float]) -> Query_:
        """The query with this condition."""
        if self.since is not None:
            query = query.where(column >= _seconds(self.since))
        if self.until is not None:
            query = query.where(column < _seconds(self.until))
        return query


ANY_TIME = Created(None, None)


async def _created(
    created_since: Annotated[datetime | None, Query(description="Created then or later.")] = None,
    created_until: Annotated[datetime | None, Query(description="Created before.")] = None,
) -> Created:
    return Created(created_since, created_until)


CreatedDependency = Annotated[Created, Depends(_created)]


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
