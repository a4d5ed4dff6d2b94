"""The lines of a ranking as a table: which columns it has, which lines are shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from frontrunner.ranking import RankedCheckpoint, Ranking
from frontrunner.ranking.answer import interval_of, is_share, title_of
from frontrunner.ranking.prediction import PREDICTED_ACCURACY
from frontrunner.ranking_table import chance, count
from frontrunner.tables import common_beginning

# More than people read at once, and what a browser lays out within a frame or two.
LINES_A_PAGE = 100
# Hubs whose checkpoints have a page, and what their names are below there.
_PAGES = {"hf": "https://huggingface.co/", "timm": "https://huggingface.co/timm/"}
_BIG = float("inf")


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: as in addresses.
        title: as people read it.
        cell: what a line shows in it.
        key: by what lines are sorted.
        is_number: whether it is set to the right.
        descending: whether the largest comes first.
        hint: what it means; empty where the title says it.
    """

    name: str
    title: str
    cell: Callable[[RankedCheckpoint], str]
    key: Callable[[RankedCheckpoint], Any]
    is_number: bool = True
    descending: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """What is shown of a ranking's lines.

    Attributes:
        columns: beside rank and name.
        beginning: what all names begin with; it is said once.
        lines: of this page.
        total: lines that match.
        sort: the column that orders them; `rank` for the ranking's own order.
        wanted: what names must hold.
        page: from 1.
        pages: how many there are.
    """

    columns: Sequence[Column]
    beginning: str
    lines: Sequence[RankedCheckpoint]
    total: int
    sort: str
    wanted: str
    page: int
    pages: int


def table_of(ranking: Ranking, *, sort: str = "rank", wanted: str = "", page: int = 1) -> Table:
    """The lines that are asked for; an unknown column means the ranking's own order."""
    columns = _columns(ranking)
    by = next((column for column in columns if column.name == sort), None)
    lines = [line for line in ranking.ranking if wanted.casefold() in line.checkpoint.casefold()]
    if by is not None:
        lines.sort(key=by.key, reverse=by.descending)
    pages = max(-(-len(lines) // LINES_A_PAGE), 1)
    page = min(max(page, 1), pages)
    shown = lines[(page - 1) * LINES_A_PAGE : page * LINES_A_PAGE]
    beginning = common_beginning([line.checkpoint for line in ranking.ranking])
    return Table(columns, beginning, shown, len(lines), "rank" if by is None else by.name, wanted, page, pages)


def home_page_of(checkpoint: str) -> str:
    """Where a checkpoint of the hub is described; empty of others.

    Example:
        >>> home_page_of("hf:timm/resnet18.a1_in1k"), home_page_of("local:mine")
        ('https://huggingface.co/timm/resnet18.a1_in1k', '')
    """
    hub, _, name = checkpoint.partition(":")
    return f"{_PAGES[hub]}{name.partition('@')[0].partition('#')[0]}" if hub in _PAGES else ""


def _columns(ranking: Ranking) -> list[Column]:
    asked = ranking.provenance.scores or (ranking.provenance.ordered_by,)
    found = [_score(ranking, name) for name in asked]
    if any(line.verified for line in ranking.ranking):
        found.insert(0, Column("measured", "Measured", _measured, _measured_key, descending=True))
    if any(line.probability_best is not None for line in ranking.ranking):
        found.append(
            Column(
                "chance",
                "Best, chance",
                lambda line: chance(line.probability_best),
                lambda line: line.probability_best or 0.0,
                descending=True,
                hint="Probability that no other one is better",
            )
        )
    return [
        *found,
        Column("parameters", "Parameters", lambda line: count(line.parameters), lambda line: line.parameters),
        Column(
            "latency", "Latency", _latency, lambda line: line.reading_cost.latency_ms if line.reading_cost else _BIG
        ),
        Column(
            "licence", "Licence", lambda line: line.license or "not stated", lambda line: line.license or "~", False
        ),
    ]


def _score(ranking: Ranking, name: str) -> Column:
    task = ranking.dataset.task
    share = is_share(name, task)

    def cell(line: RankedCheckpoint) -> str:
        low, value, high = interval_of(line, name)
        if value is None:
            return "–"  # noqa: RUF001
        digits, unit = (0 if name == PREDICTED_ACCURACY else 1, 100) if share else (3, 1)
        if low is None or high is None:
            return f"{unit * value:.{digits}f}"
        return f"{unit * value:.{digits}f} ({unit * low:.{digits}f} to {unit * high:.{digits}f})"

    def key(line: RankedCheckpoint) -> float:
        value = interval_of(line, name)[1]
        return -_BIG if value is None else value

    title = title_of(name, task)
    return Column(name, f"{title}, %" if share else title, cell, key, descending=True, hint="With its interval")


def _measured(line: RankedCheckpoint) -> str:
    found = line.verified
    return "" if found is None else f"{100 * found.accuracy:.0f} ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _measured_key(line: RankedCheckpoint) -> float:
    return -_BIG if line.verified is None else line.verified.accuracy


def _latency(line: RankedCheckpoint) -> str:
    return "–" if line.reading_cost is None else f"{line.reading_cost.latency_ms:.3g} ms"  # noqa: RUF001
