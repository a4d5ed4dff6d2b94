"""`/hub`: what can be ranked, and what of it cannot and why; the address holds the filters."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.pages.asking import Fields, problems_of, scaled
from api.pages.lines import home_page_of
from api.pages.rendering import page
from api.pages.visits import ReadVisit
from api.paging import Cursor
from frontrunner.hub.describing.listing import CatalogueFilter
from jobs.catalogue import IN_HUBS, IN_LISTS, search_catalogue
from models import CheckpointRow

router = APIRouter(prefix="/hub", include_in_schema=False)

_A_PAGE = 50
# Values that a list of choices offers, the most frequent ones.
_CHOICES = 100
Words = Annotated[str, Query(max_length=200)]


@router.get("")
def show_hub(
    visit: ReadVisit,
    search: Words = "",
    modality: Words = "",
    family: Words = "",
    license: Words = "",  # noqa: A002 - the filter's name
    origin: Words = "",
    max_parameters: Words = "",
    cursor: Cursor = None,
) -> Response:
    """Checkpoints of the catalogue, by id."""
    said = {
        "search": search.strip(),
        "modality": modality,
        "family": family,
        "license": license.strip(),
        "origin": origin,
        "max_parameters": max_parameters.strip(),
    }
    said = {name: value for name, value in said.items() if value}
    problems = Fields()
    try:
        wanted = CatalogueFilter.model_validate({name: scaled(name, text) for name, text in said.items()})
    except ValidationError as invalid:
        wanted, problems = CatalogueFilter(), problems_of(invalid)
    visit.state.refresh_catalogue()
    with visit.state.database.read_transaction() as session:
        rows = search_catalogue(session, wanted, after=cursor, limit=_A_PAGE)
        modalities = [("", "anything"), *_values(session, "modality")]
        families = [("", "any"), *_values(session, "family")]
    more = urlencode(said | {"cursor": rows[_A_PAGE - 1].id}) if len(rows) > _A_PAGE else ""
    return page(
        visit,
        "hub.html",
        status=422 if problems else 200,
        rows=rows[:_A_PAGE],
        said=Fields(said),
        problems=problems,
        modalities=modalities,
        families=families,
        origins=[("", "anywhere"), (IN_HUBS, "at hand"), (IN_LISTS, "heard of")],
        home_page=home_page_of,
        next=f"/hub?{more}" if more else "",
        is_later=cursor is not None,
    )


def _values(session: Session, name: str) -> list[tuple[str, str]]:
    """Values of a column that the catalogue has, in order, as choices."""
    column = getattr(CheckpointRow, name)
    query = select(column).where(CheckpointRow.available, column.is_not(None)).group_by(column)
    return [(value, value) for value in sorted(session.scalars(query.order_by(func.count().desc()).limit(_CHOICES)))]
